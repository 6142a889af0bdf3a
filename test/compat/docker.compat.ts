/** The Dockerfile, linted, and its steps done in a plain folder: what it builds starts, answers and is healthy. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, cp, glob, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ApiVersions } from '../../protocol/apis/api-versions.ts'
import { silentLogger } from '../../src/environment/logger.ts'
import { nodeNetwork } from '../../src/environment/node-network.ts'
import { TestClient } from '../support/broker.ts'
import { withNode } from './support/package.ts'
import { peerScript } from './support/peers.ts'
import { eventually, freePorts, mustRun } from './support/processes.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const file = join(root, 'docker/Dockerfile')

interface Instruction {
  readonly name: string
  readonly rest: string
}

/** The instructions in order, with continued lines joined. */
function parse(text: string): Instruction[] {
  const lines = text.replaceAll(/^#.*\n/gm, '').replaceAll(/\\\n\s*/g, ' ')
  return [...lines.matchAll(/^([A-Z]+) +(.+)$/gm)].map(([, name = '', rest = '']) => ({ name, rest: rest.trim() }))
}

/** A stage of the build: a folder in the place of the root of its file system. */
class Stage {
  readonly folder: string
  #cwd = '/'
  readonly env: Record<string, string>
  entrypoint: readonly string[] = []
  command: readonly string[] = []
  health: readonly string[] = []
  user = 'root'

  constructor(folder: string, env: Readonly<Record<string, string>>) {
    this.folder = folder
    this.env = { ...env }
  }

  /** Where a path of the image lies. */
  place(path: string): string {
    return join(this.folder, resolve(this.#cwd, path))
  }

  /** The paths of the image that a text names, as they lie here. */
  placed(text: string): string {
    return text.replaceAll(/(?<![\w./-])\/(?=(?:build|opt|var)\b)/g, `${this.folder}/`)
  }

  async workdir(path: string): Promise<void> {
    this.#cwd = resolve(this.#cwd, path)
    await mkdir(this.place('.'), { recursive: true })
  }

  async copy(from: string, sources: readonly string[], target: string): Promise<void> {
    for (const source of sources) {
      const found: string[] = []
      for await (const path of glob(source.replace(/^\//, ''), { cwd: from })) found.push(path)
      assert.ok(found.length > 0, `nothing to copy at ${source}`)
      for (const path of found) {
        const isInto = target.endsWith('/') && !(await stat(join(from, path))).isDirectory()
        const to = isInto ? join(this.place(target), path) : this.place(target)
        await mkdir(dirname(to), { recursive: true })
        await cp(join(from, path), to, { recursive: true })
      }
    }
  }

  async run(command: string): Promise<void> {
    await mustRun('sh', ['-c', this.placed(command)], { cwd: this.place('.'), env: this.env, timeoutMs: 300_000 })
  }

  set(assignments: string): void {
    for (const [, name = '', value = ''] of assignments.matchAll(/(\w+)=(\S+)/g)) this.env[name] = this.placed(value)
  }
}

const wordsOf = (json: string): string[] => JSON.parse(json) as string[]

/** Does what Docker would, but in folders, and as the user who runs this. Returns the last stage. */
async function build(folder: string, env: Readonly<Record<string, string>>): Promise<Stage> {
  const stages = new Map<string, Stage>()
  let stage: Stage | undefined
  for (const { name, rest } of parse(await readFile(file, 'utf8'))) {
    if (name === 'FROM') {
      const [image, , stageName = 'last'] = rest.split(/ +/)
      assert.match(image!, /^node:\d+\.\d+\.\d+-[a-z]+-slim$/, 'the base image is pinned')
      stage = new Stage(join(folder, stageName), env)
      stages.set(stageName, stage)
      continue
    }
    assert.ok(stage)
    const current = stage
    const copied = /^(?:--from=(\w+) )?(.*) (\S+)$/.exec(rest)
    const steps: Record<string, () => Promise<void> | void> = {
      WORKDIR: () => current.workdir(rest),
      COPY: () => current.copy(stages.get(copied![1] ?? '')?.folder ?? root, copied![2]!.split(/ +/), copied![3]!),
      RUN: () => current.run(rest),
      ENV: () => current.set(rest),
      USER: () => void (current.user = rest),
      ENTRYPOINT: () => void (current.entrypoint = wordsOf(rest)),
      CMD: () => void (current.command = wordsOf(rest)),
      HEALTHCHECK: () => void (current.health = wordsOf(rest.slice(rest.indexOf('CMD ') + 4))),
      EXPOSE: () => assert.equal(rest, '9092 8090'),
      VOLUME: () => assert.equal(rest, '/var/lib/titorelli'),
    }
    assert.ok(steps[name], `the test can do ${name}`)
    await steps[name]()
  }
  return stage!
}

/** Commands that only root may use stand for themselves. */
async function shims(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'chown'), '#!/bin/sh\nexit 0\n')
  await chmod(join(folder, 'chown'), 0o755)
  return folder
}

test('hadolint finds nothing in docker/Dockerfile', async () => {
  const { stdout } = await mustRun(peerScript('hadolint'), [file])
  assert.equal(stdout, '')
})

test('the base images of docker/Dockerfile are the Node of package.json', async () => {
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>
  }
  const images = parse(await readFile(file, 'utf8')).filter(({ name }) => name === 'FROM')
  for (const { rest } of images) assert.ok(rest.startsWith(`node:${manifest.devDependencies['node']}-`), rest)
})

test('what .dockerignore lets in is what the first stage copies', async () => {
  const ignore = await readFile(join(root, 'docker/Dockerfile.dockerignore'), 'utf8')
  const allowed = [...ignore.matchAll(/^!(.+)$/gm)].map(([, path]) => path!)
  const copies = parse(await readFile(file, 'utf8')).filter(
    ({ name, rest }) => name === 'COPY' && !rest.startsWith('--'),
  )
  const copied = copies.flatMap(({ rest }) => rest.split(/ +/).slice(0, -1))
  assert.deepEqual(allowed.toSorted(), copied.toSorted())
})

test(
  'the steps of docker/Dockerfile yield a broker that starts, answers and is healthy',
  { timeout: 600_000 },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'titorelli-image-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const { PATH } = withNode(process.execPath)
    const image = await build(folder, { PATH: `${await shims(join(folder, 'shims'))}:${PATH}` })
    assert.notEqual(image.user.split(':')[0], 'root')
    assert.ok((await readdir(image.place('/opt/titorelli/compile-cache'))).length > 0, 'the compile cache is filled')

    const [port, httpPort] = (await freePorts(2)) as [number, number]
    const words = [...image.entrypoint, ...image.command].map((word) => image.placed(word))
    const chosen = { TITORELLI_PORT: `${port}`, TITORELLI_HTTP_PORT: `${httpPort}` } // the ones of the image may be taken here
    const env = { ...process.env, ...image.env, ...chosen }
    const child = spawn(words[0]!, words.slice(1), {
      cwd: image.place('.'),
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    t.after(() => child.kill('SIGKILL'))
    const answer = await eventually('the broker answers', async () => {
      const socket = await nodeNetwork(silentLogger).connect({ host: '127.0.0.1', port }, { timeoutMs: 1_000 })
      const client = new TestClient(socket)
      t.after(() => client.close())
      return await client.send(ApiVersions, 3, { clientSoftwareName: 'test', clientSoftwareVersion: '1' })
    })
    assert.equal(answer.errorCode, 0)
    const check = image.health.map((word) => word.replace(':8090', `:${httpPort}`))
    await eventually('the check of health passes', async () => {
      await mustRun(check[0]!, check.slice(1), { env: image.env })
      return true
    })
    assert.ok((await readdir(image.place('/var/lib/titorelli'))).includes('meta.properties'))
    child.kill('SIGTERM')
    assert.equal(await ended, 0)
  },
)
