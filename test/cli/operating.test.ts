/** The commands that operate a broker, against real ones in memory. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { startBroker, type EmbeddedBroker } from '../../src/index.ts'
import { fromJson } from '../../src/json.ts'
import { runCli, type Ran } from './support.ts'

interface World {
  readonly broker: EmbeddedBroker
  readonly url: string
  readonly cli: (...args: string[]) => Promise<Ran>
  /** Runs a command that must succeed. */
  readonly ok: (line: string) => Promise<string>
}

/** Three brokers, a topic with records, and a group without members that is behind. */
async function start(t: TestContext): Promise<World> {
  const broker = await startBroker({ brokers: 3, http: true, topics: { orders: { partitions: 2 } } })
  t.after(() => broker.stop())
  const url = broker.httpUrl!
  const cli = (...args: string[]) => runCli([...args, '--url', url])
  const ok = async (line: string) => {
    const { status, stdout, stderr } = await cli(...line.split(' '))
    assert.equal(status, 0, `${line}: ${stderr}`)
    return stdout
  }
  for (const value of ['a', 'b', 'c']) {
    const body = JSON.stringify({ partition_id: 0, value: { type: 'STRING', data: value } })
    const path = `${url}/kafka/v3/clusters/${broker.clusterId}/topics/orders/records`
    const { status } = await fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    assert.equal(status, 200)
  }
  await ok('group reset-offsets billing --topic orders --to-earliest')
  return { broker, url, cli, ok }
}

/** The examples in the help of a command and of those below it. */
async function examplesOf(command: readonly string[]): Promise<string[]> {
  const { status, stdout } = await runCli([...command, '--help'])
  assert.equal(status, 0)
  const below = [...(/^Commands:\n((?: .*\n?)*)/m.exec(stdout)?.[1] ?? '').matchAll(/^ {2}([a-z][a-z-]*)/gm)]
  const names = below.map(([, name]) => name!).filter((name) => name !== 'help')
  const examples = [...stdout.matchAll(/^ {2}\$ titorelli (.*)$/gm)].map(([, line]) => line!)
  for (const name of names) examples.push(...(await examplesOf([...command, name])))
  return examples
}

/** What has to be done before an example. */
const before: Readonly<Record<string, string>> = {
  'config delete --topic orders retention.ms': 'config set --topic orders retention.ms=1000',
  'broker up 2': 'broker down 2',
}

/** What examples may have left behind, undone. */
async function prepare({ cli, ok }: World, example: string): Promise<void> {
  for (const line of ['topic delete orders', 'topic delete payments', 'broker up 2', 'broker up 3'])
    await cli(...line.split(' '))
  await ok('topic create orders --partitions 2')
  await ok('group reset-offsets billing --topic orders --to-earliest')
  if (before[example]) await ok(before[example])
}

test('every example in the help of these commands runs, for people and as JSON', async (t) => {
  const world = await start(t)
  for (const room of ['topic', 'group', 'config', 'cluster', 'broker']) {
    const examples = await examplesOf([room])
    assert.ok(examples.length > 0)
    for (const example of examples) {
      await prepare(world, example)
      assert.ok((await world.ok(example)).trim() !== '', example)
      await prepare(world, example)
      assert.equal(typeof fromJson(await world.ok(`${example} --json`)), 'object', example)
    }
  }
})

test('every example in the help of link and mirror runs, in the order in which people need them', async (t) => {
  const source = await startBroker({ topics: ['orders', 'payments'] })
  t.after(() => source.stop())
  const broker = await startBroker({ http: true })
  t.after(() => broker.stop())
  const order = [
    'link create from-west --source-bootstrap-server west.example.com:9092',
    'link list',
    'link describe from-west',
    'mirror create orders --link from-west',
    'mirror list --link from-west',
    'mirror describe orders',
    'mirror verify orders',
    'mirror pause orders',
    'mirror resume orders',
    'mirror failover orders payments',
    'link delete from-west',
  ]
  const examples = [...(await examplesOf(['link'])), ...(await examplesOf(['mirror']))]
  assert.deepEqual(new Set(order), new Set(examples))
  const run = async (line: string) => {
    const args = line.replace('west.example.com:9092', source.bootstrapServers).split(' ')
    const { status, stdout, stderr } = await runCli([...args, '--url', broker.httpUrl!])
    assert.equal(status, 0, `${line}: ${stdout}${stderr}`)
    assert.notEqual(stdout.trim(), '', line)
  }
  for (const line of order) {
    if (line.startsWith('mirror failover')) await run('mirror create payments --link from-west')
    await run(line)
  }
})

test('a topic is created with its configs, described, given partitions, and deleted', async (t) => {
  const { ok, cli } = await start(t)
  assert.match(
    await ok('topic create p --partitions 3 --replication-factor 2 --config retention.ms=1000,cleanup.policy=compact'),
    /Created topic "p": 3 partitions of 2 replicas\./,
  )
  const described = await ok('topic describe p')
  assert.match(described, /retention\.ms=1000/)
  assert.match(described, /cleanup\.policy=compact/)
  assert.match(await ok('topic alter p --partitions 4'), /has 4 partitions/)
  assert.match(await ok('topic delete p'), /Deleted topic "p"/)
  const gone = await cli('topic', 'describe', 'p')
  assert.equal(gone.status, 1)
  assert.match(gone.stderr, /does not host this topic/)
})

test('topic create --dry-run creates nothing', async (t) => {
  const { ok } = await start(t)
  assert.match(await ok('topic create p --dry-run'), /can be created: 1 partition of \d replicas?\./)
  assert.doesNotMatch(await ok('topic list'), /^p /m)
})

test('group describe shows committed offsets and lag, and reset-offsets moves them within the log', async (t) => {
  const { ok, cli } = await start(t)
  assert.match(await ok('group list'), /^billing +EMPTY +[123]?/m)
  const row = (text: string) => /^orders +0 +(\d+) +(\d+) +(\d+)/m.exec(text)?.slice(1)
  const described = await ok('group describe billing')
  assert.match(described, /^Lag: +3$/m)
  assert.deepEqual(row(described), ['0', '3', '3'])
  await ok('group reset-offsets billing --topic orders --partition 0 --to-offset 2')
  assert.deepEqual(row(await ok('group describe billing')), ['2', '3', '1'])
  await ok('group reset-offsets billing --topic orders --to-offset 99')
  assert.deepEqual(row(await ok('group describe billing')), ['3', '3', '0'])
  assert.match(await ok('group reset-offsets billing --topic orders --to-earliest --dry-run'), /^orders +0 +0$/m)
  assert.deepEqual(row(await ok('group describe billing')), ['3', '3', '0'])
  assert.match(await ok('group delete billing'), /Deleted group "billing"/)
  assert.equal((await cli('group', 'describe', 'billing')).status, 1)
})

test('configs that were set are listed with their source, and reset', async (t) => {
  const { ok } = await start(t)
  await ok('config set --topic orders retention.ms=5000 max.message.bytes=9000')
  const list = await ok('config list --topic orders')
  assert.match(list, /^retention\.ms +5000 +DYNAMIC_TOPIC_CONFIG$/m)
  assert.match(list, /^max\.message\.bytes +9000/m)
  assert.doesNotMatch(list, /^cleanup\.policy/m)
  assert.match(await ok('config list --topic orders --defaults'), /^cleanup\.policy +delete +DEFAULT_CONFIG$/m)
  await ok('config delete --topic orders retention.ms')
  assert.doesNotMatch(await ok('config list --topic orders'), /^retention\.ms/m)
  await ok('config set --broker 2 log.retention.ms=7000')
  assert.match(await ok('config list --broker 2'), /^log\.retention\.ms +7000 +DYNAMIC_BROKER_CONFIG$/m)
  assert.doesNotMatch(await ok('config list --broker 1'), /7000/)
})

test('config set --dry-run sets nothing', async (t) => {
  const { ok } = await start(t)
  assert.match(await ok('config set --topic orders retention.ms=5000 --dry-run'), /^Can be set for topic "orders"/)
  assert.doesNotMatch(await ok('config list --topic orders'), /5000/)
})

test('brokers go down and up, and the cluster shows it', async (t) => {
  const { ok, broker } = await start(t)
  assert.match(await ok('broker down 2'), /Broker 2 is down/)
  assert.match(await ok('broker list'), /^ +2 .* down$/m)
  assert.match(await ok('cluster describe'), new RegExp(`^Cluster id: +${broker.clusterId}$`, 'm'))
  await ok('broker up 2')
  assert.match(await ok('broker list'), /^ +2 .* up$/m)
})

const refusals = [
  ['topic create', 2, /missing required argument/],
  ['topic create p --partitions 0', 2, /at least 1/],
  ['topic create orders', 1, /already exists/],
  ['topic alter orders', 2, /--partitions/],
  ['topic alter orders --partitions 1', 1, /partition/],
  ['group describe nobody', 1, /cannot be found/],
  ['group reset-offsets g --topic orders', 2, /expected one of --to-earliest/],
  ['group reset-offsets g --topic orders --to-offset x', 2, /whole number/],
  ['group reset-offsets g --topic orders --partition 7 --to-latest', 1, /no partition 7/],
  ['config list', 2, /expected one of --topic/],
  ['config list --topic a --broker 1', 2, /expected one of --topic/],
  ['config set --topic orders nonsense', 2, /KEY=VALUE/],
  ['config set --topic orders retention.ms=x', 1, /retention\.ms/],
  ['broker down x', 2, /whole number/],
  ['broker down 9', 1, /there is no broker 9/],
] as const

test('what is wrong or refused ends with a status and says why', async (t) => {
  const { cli } = await start(t)
  for (const [line, status, pattern] of refusals) {
    const ran = await cli(...line.split(' '))
    assert.equal(ran.status, status, `${line}: ${ran.stderr}`)
    assert.match(ran.stderr, pattern, line)
  }
})
