import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { collectConfigs } from '../../src/cli/config-option.ts'
import { listOf, sizeOf, tableOf } from '../../src/cli/table.ts'
import { startHttp } from '../../src/http/node-http.ts'
import type { VerifyEvent } from '../../src/links/link-service.ts'
import { fakeParts, type FakeParts } from '../http/fake-parts.ts'
import { runCli } from './support.ts'

/** The HTTP API over fake parts, and a runner of commands against it. */
async function startApi(t: TestContext, parts: FakeParts = fakeParts()) {
  const server = await startHttp({ host: '127.0.0.1', port: 0, parts })
  t.after(() => server.close())
  const url = `http://127.0.0.1:${server.port}`
  return {
    parts,
    cli: (...args: string[]) => runCli([...args, '--url', url]),
    tty: (...args: string[]) => runCli([...args, '--url', url], { isTTY: true }),
  }
}

test('every command has a help text with an example', async () => {
  const commands = [
    'start',
    ...['create', 'list', 'describe', 'delete'].map((one) => `link ${one}`),
    ...['create', 'list', 'describe', 'pause', 'resume', 'failover', 'verify'].map((one) => `mirror ${one}`),
    ...['list', 'describe', 'create', 'alter', 'delete'].map((one) => `topic ${one}`),
    ...['list', 'describe', 'delete', 'reset-offsets'].map((one) => `group ${one}`),
    ...['list', 'set', 'delete'].map((one) => `config ${one}`),
    ...['list', 'down', 'up'].map((one) => `broker ${one}`),
    'cluster describe',
    'dump',
  ]
  for (const command of commands) {
    const { status, stdout } = await runCli([...command.split(' '), '--help'])
    assert.equal(status, 0, command)
    assert.match(stdout, new RegExp(`Examples?:\n +\\$ titorelli ${command}`), command)
  }
})

test('--version prints the version and ends with 0', async () => {
  assert.deepEqual(await runCli(['--version']), { status: 0, stdout: '9.9.9\n', stderr: '' })
})

for (const args of [
  ['nonsense'],
  ['link', 'create'],
  ['link', 'create', 'l'],
  ['mirror', 'list', '--nonsense'],
  ['mirror', 'pause'],
]) {
  test(`the wrong command line '${args.join(' ')}' ends with status 2 and an explanation`, async () => {
    const { status, stderr } = await runCli(args)
    assert.equal(status, 2)
    assert.match(stderr, /error: /)
  })
}

test('link create sends the bootstrap server, the expected cluster and the configs', async (t) => {
  const { cli, parts } = await startApi(t)
  const flags = [
    '--source-bootstrap-server',
    'a:1,b:2',
    '--source-cluster',
    'west',
    '--config',
    'x.y=1,z.ms=2',
    '--config',
    'z.ms=3',
  ]
  const { status, stdout } = await cli('link', 'create', 'from-west', ...flags, '--no-validate')
  assert.equal(status, 0)
  assert.match(stdout, /Created cluster link "from-west" to cluster west/)
  const configs = new Map([
    ['x.y', '1'],
    ['z.ms', '3'],
    ['bootstrap.servers', 'a:1,b:2'],
  ])
  assert.deepEqual(parts.calls, [
    ['createLink', { name: 'from-west', sourceClusterId: 'west', configs, validateOnly: false, validateLink: false }],
  ])
})

test('link create --dry-run only validates', async (t) => {
  const { cli, parts } = await startApi(t)
  const { status, stdout } = await cli('link', 'create', 'new', '--source-bootstrap-server', 'a:1', '--dry-run')
  assert.equal(status, 0)
  assert.match(stdout, /can be created/)
  assert.equal((parts.calls[0]![1] as { validateOnly: boolean }).validateOnly, true)
})

test('a config value may hold commas; a new entry begins where a key does', () => {
  const configs = collectConfigs(
    'bootstrap.servers=a:1,b:2,consumer.offset.group.filters={"groupFilters":[{"name":"*","x":1}]}',
  )
  assert.deepEqual(
    [...configs],
    [
      ['bootstrap.servers', 'a:1,b:2'],
      ['consumer.offset.group.filters', '{"groupFilters":[{"name":"*","x":1}]}'],
    ],
  )
  assert.throws(() => collectConfigs('novalue'), { message: "got --config 'novalue', expected KEY=VALUE", status: 2 })
})

test('link list and describe show state, topics and configs, sensitive values hidden', async (t) => {
  const { cli } = await startApi(t)
  assert.equal(
    (await cli('link', 'list')).stdout,
    'Name       Source cluster  State   Mirror topics\nfrom-west  west            ACTIVE              1\n',
  )
  const { stdout } = await cli('link', 'describe', 'from-west')
  assert.match(stdout, /^Source cluster: +west$/m)
  assert.match(stdout, /^ {2}bootstrap.servers=west:9092$/m)
  assert.match(stdout, /^ {2}sasl.jaas.config=\(hidden\)$/m)
})

test('an unknown link ends with status 1 and the message of the API', async (t) => {
  const { cli } = await startApi(t)
  const { status, stderr } = await cli('link', 'describe', 'nope')
  assert.equal(status, 1)
  assert.equal(stderr, "titorelli: The cluster link doesn't exist: Cluster link 'nope' does not exist.\n")
})

test('link delete passes --force on', async (t) => {
  const { cli, parts } = await startApi(t)
  assert.equal((await cli('link', 'delete', 'from-west', '--force')).status, 0)
  assert.deepEqual(parts.calls, [['deleteLink', 'from-west', { force: true, validateOnly: false }]])
})

test('mirror create names the mirror only where it differs from the source topic', async (t) => {
  const { cli, parts } = await startApi(t)
  await cli('mirror', 'create', 'clicks', '--link', 'from-west')
  await cli(
    'mirror',
    'create',
    'west.clicks',
    '--link',
    'from-west',
    '--source-topic',
    'clicks',
    '--config',
    'segment.ms=5',
  )
  assert.deepEqual(parts.calls, [
    ['createMirror', 'from-west', { sourceTopicName: 'clicks', configs: new Map() }],
    [
      'createMirror',
      'from-west',
      { sourceTopicName: 'clicks', mirrorTopicName: 'west.clicks', configs: new Map([['segment.ms', '5']]) },
    ],
  ])
})

test('mirror list shows the largest lag', async (t) => {
  const { cli } = await startApi(t)
  const { stdout } = await cli('mirror', 'list')
  assert.match(stdout, /^from-west +clicks +clicks +ACTIVE +2021-02-05 18:48:59.300Z +1 +3$/m)
})

test('mirror describe finds the link by itself and shows exact offsets', async (t) => {
  const { cli } = await startApi(t)
  const { status, stdout } = await cli('mirror', 'describe', 'clicks')
  assert.equal(status, 0)
  assert.match(stdout, /^Status: +ACTIVE$/m)
  assert.match(stdout, /\b9007199254740993\b/)
})

test('--json prints what the API says, exact', async (t) => {
  const { cli } = await startApi(t)
  for (const command of [
    'link list',
    'link describe from-west',
    'mirror list',
    'mirror describe clicks',
    'topic list',
    'topic describe clicks',
  ]) {
    const { status, stdout } = await cli(...command.split(' '), '--json')
    assert.equal(status, 0, command)
    assert.equal(typeof JSON.parse(stdout), 'object', command)
  }
  assert.match((await cli('mirror', 'describe', 'clicks', '--json')).stdout, /"log_end_offset": 9007199254740990\b/)
})

test('a verb that is refused for one topic ends with status 1 and says which', async (t) => {
  const { cli } = await startApi(t)
  const { status, stdout } = await cli('mirror', 'pause', 'clicks', 'nope', '--link', 'from-west')
  assert.equal(status, 1)
  assert.equal(stdout, 'clicks: pause accepted.\nnope: pause refused: no mirror nope\n')
})

test('failover without waiting returns when it is accepted', async (t) => {
  const { cli, parts } = await startApi(t)
  const { status, stdout } = await cli('mirror', 'failover', 'clicks', '--no-wait')
  assert.equal(status, 0)
  assert.equal(stdout, 'clicks: failover accepted.\n')
  assert.deepEqual(parts.calls, [
    ['changeMirrors', 'from-west', 'failover', { names: ['clicks'] }, { validateOnly: false }],
  ])
})

const progress: VerifyEvent = {
  kind: 'progress',
  partitionIndex: 0,
  fromOffset: 10n,
  offset: 60n,
  toOffset: 110n,
  batches: 5,
  bytes: 2048,
}
const verdicts = { identical: 0, 'identical-by-record': 0, different: 1, unknown: 2 } as const
for (const [verdict, expected] of Object.entries(verdicts)) {
  test(`mirror verify ends with status ${expected} when the verdict is ${verdict}`, async (t) => {
    const result: VerifyEvent = {
      kind: 'result',
      verdict: verdict as keyof typeof verdicts,
      partitions: 1,
      batches: 5,
      bytes: 2048,
      durationMs: 1500,
      ranges: [],
      firstDifference:
        verdict === 'different' ? { partitionIndex: 0, offset: 42n, kind: 'bytes', message: 'the CRC differs' } : null,
      message: verdict === 'unknown' ? 'the source is gone' : null,
    }
    const { cli, tty } = await startApi(t, fakeParts({ verifyEvents: [progress, result] }))
    const piped = await cli('mirror', 'verify', 'clicks')
    assert.equal(piped.status, expected)
    assert.equal(piped.stderr, '', 'no progress where nobody looks')
    if (verdict === 'different') assert.match(piped.stdout, /First difference: +partition 0, offset 42 \(bytes\)/)
    if (verdict === 'unknown') assert.match(piped.stdout, /the source is gone/)
    assert.match((await tty('mirror', 'verify', 'clicks')).stderr, /comparing: 50 %/)
    assert.equal((await cli('mirror', 'verify', 'clicks', '--json')).status, expected)
  })
}

test('mirror verify could not tell when the stream has no result, the mirror is unknown, or no broker answers', async (t) => {
  const { cli } = await startApi(t, fakeParts({ verifyEvents: [progress] }))
  assert.equal((await cli('mirror', 'verify', 'clicks')).status, 2)
  assert.equal((await cli('mirror', 'verify', 'nope')).status, 2)
  const nobody = await runCli(['mirror', 'verify', 'clicks', '--url', 'http://127.0.0.1:1'])
  assert.equal(nobody.status, 2)
  assert.match(nobody.stderr, /no broker answers at http:\/\/127.0.0.1:1/)
})

test('a command without a broker ends with status 1 and names the URL', async () => {
  const { status, stderr } = await runCli(['topic', 'list', '--url', 'http://127.0.0.1:1'])
  assert.equal(status, 1)
  assert.match(stderr, /no broker answers at http:\/\/127.0.0.1:1/)
})

for (const url of ['nowhere', '127.0.0.1:8090', 'http://host:port', 'ftp://127.0.0.1']) {
  test(`--url ${url} ends with status 2 and shows what is expected`, async () => {
    const { status, stderr } = await runCli(['topic', 'list', '--url', url])
    assert.equal(status, 2)
    assert.match(stderr, /got --url '.*', expected for example http:/)
  })
}

test('topic list and describe show sizes and offsets', async (t) => {
  const { cli } = await startApi(t)
  assert.match((await cli('topic', 'list')).stdout, /^clicks +1 +9007199254740993 +70 B +topic$/m)
  const { stdout } = await cli('topic', 'describe', 'clicks')
  assert.match(stdout, /retention.ms=1000/)
  assert.match(stdout, /9007199254740993/)
})

test('tables align numbers to the right, lists leave missing values out, sizes have units', () => {
  assert.deepEqual(
    tableOf(
      ['A', 'Count'],
      [
        ['x', 7],
        ['long', 12],
      ],
    ),
    ['A     Count', 'x         7', 'long     12'],
  )
  assert.deepEqual(
    listOf([
      ['a', 1],
      ['bcd', null],
      ['e', 'f'],
    ]),
    ['a: 1', 'e: f'],
  )
  assert.deepEqual([0, 1023, 1024, 1_572_864].map(sizeOf), ['0 B', '1023 B', '1.0 KiB', '1.5 MiB'])
})
