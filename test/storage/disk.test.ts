import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { DiskError } from '../../storage/disk.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { classCaps, NodeDisk } from '../../storage/node-disk.ts'
import { diskContract } from '../contracts/disk.ts'

async function temporaryDirectory(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'titorelli-disk-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  return root
}

diskContract('MemoryDisk', async () => new MemoryDisk((run) => setImmediate(run)))
diskContract('NodeDisk', async (t) => new NodeDisk(await temporaryDirectory(t)))

test('a memory disk completes in a scheduled turn, so that a loop over it lets timers run', async () => {
  const turns: (() => void)[] = []
  const disk = new MemoryDisk((run) => turns.push(run))
  let isDone = false
  const exists = disk.exists('a').then(() => (isDone = true))
  await Promise.resolve()
  await Promise.resolve()
  assert.equal(isDone, false)
  assert.equal(turns.length, 1)
  turns[0]!()
  await exists
  assert.equal(isDone, true)
})

test('reads, syncs and housekeeping together leave a thread to appends, from four threads on', () => {
  for (const threadPoolSize of [4, 5, 8, 16, 64]) {
    const caps = classCaps(threadPoolSize)
    assert.equal(caps.append, threadPoolSize)
    assert.equal(caps.read + caps.sync + caps.housekeeping, threadPoolSize - 1)
  }
  assert.deepEqual(classCaps(1), { append: 1, sync: 1, read: 1, housekeeping: 1 })
})

test('an error of the disk names the path that the engine used', async (t) => {
  const disk = new NodeDisk(await temporaryDirectory(t))
  await assert.rejects(disk.open('orders-0/a.log'), (error: unknown) => {
    assert(error instanceof DiskError)
    assert.equal(error.path, 'orders-0/a.log')
    assert(error.cause instanceof Error)
    return true
  })
})

const lockScript = `
  import { NodeDisk } from ${JSON.stringify(new URL('../../storage/node-disk.ts', import.meta.url).href)}
  setInterval(() => {}, 1e6)
  try {
    await new NodeDisk(process.argv[1]).lock()
    console.log('locked')
  } catch (error) {
    console.log(error.code)
    process.exit()
  }
`

for (const [what, depth] of [
  ['a socket', 0],
  ['a file, because the path is too long for a socket', 8],
] as const) {
  test(`a directory is locked across processes by ${what}, and free again after kill -9`, async (t) => {
    const root = join(await temporaryDirectory(t), 'a-long-directory-name'.repeat(depth ? 3 : 0), 'd'.repeat(depth * 5))
    await mkdir(root, { recursive: true })
    const holder = spawn(process.execPath, ['--input-type=module', '-e', lockScript, root])
    t.after(() => holder.kill('SIGKILL'))
    const [said] = (await once(holder.stdout, 'data')) as [Buffer]
    assert.equal(said.toString().trim(), 'locked')
    const disk = new NodeDisk(root)
    await assert.rejects(disk.lock(), (error: unknown) => {
      assert(error instanceof DiskError)
      assert.equal(error.code, 'LOCKED')
      assert.match(error.message, new RegExp(`process ${holder.pid}`))
      return true
    })
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    const lock = await disk.lock()
    assert.equal((await readdir(root)).filter((name) => name.startsWith('.lock')).length, 1)
    await lock.release()
  })
}

test('a lock file of a dead process does not hold, also when another process has its pid, and a live one does', async (t) => {
  const root = await temporaryDirectory(t)
  const stat = await readFile(`/proc/${process.pid}/stat`, 'utf8').catch(() => undefined)
  if (stat === undefined) return t.skip('no /proc on this machine')
  const mine = {
    pid: process.pid,
    startTime: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!,
    bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
    pidNamespace: await readlink('/proc/self/ns/pid'),
  }
  const claimed = (claim: object) => writeFile(join(root, '.lock.3'), JSON.stringify(claim))
  const disk = new NodeDisk(root)
  await claimed(mine)
  await assert.rejects(disk.lock(), { code: 'LOCKED', message: new RegExp(`in use by process ${process.pid}$`) })
  await claimed({ ...mine, pidNamespace: 'pid:[1]' })
  await assert.rejects(disk.lock(), { code: 'LOCKED', message: /process \d+ of another container/ })
  const dead = [
    { ...mine, startTime: `${Number(mine.startTime) - 1}` }, // the pid went to another process
    { ...mine, bootId: 'an earlier boot' },
    { ...mine, pid: 2 ** 30 },
  ]
  for (const claim of dead) {
    await claimed(claim)
    await (await disk.lock()).release()
  }
})

test('of many that lock a directory after a crash, one gets it', async (t) => {
  const root = await temporaryDirectory(t)
  await writeFile(join(root, '.lock.7.sock'), '') // nobody answers there
  const attempts = await Promise.allSettled(Array.from({ length: 12 }, () => new NodeDisk(root).lock()))
  const held = attempts.filter((attempt) => attempt.status === 'fulfilled')
  assert(held.length <= 1)
  for (const lock of held) await lock.value.release()
  const lock = await new NodeDisk(root).lock()
  await lock.release()
})
