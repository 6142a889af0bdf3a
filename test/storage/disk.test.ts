import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync, writeFileSync, writeSync, writevSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { DiskError } from '../../storage/disk.ts'
import { MemoryDisk } from '../../storage/memory-disk.ts'
import { DirectWrites } from '../../storage/node-direct-writes.ts'
import { classCaps, NodeDisk } from '../../storage/node-disk.ts'
import { LoopTime } from '../../storage/node-loop-time.ts'
import { diskContract } from '../contracts/disk.ts'

async function temporaryDirectory(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'titorelli-disk-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  return root
}

diskContract('MemoryDisk', async () => new MemoryDisk((run) => setImmediate(run)))
diskContract('NodeDisk', async (t) => new NodeDisk(await temporaryDirectory(t)))
diskContract('NodeDisk that leaves everything to the pool', openPoolDisk)

async function openPoolDisk(t: TestContext): Promise<NodeDisk> {
  const loopTime = new LoopTime()
  loopTime.end(loopTime.begin()!, -1e12) // all has been waited for so long that there is no time to lose any more
  return new NodeDisk(await temporaryDirectory(t), { loopTime })
}

test('calls that wait for others of their class run in the order in which they came', async (t) => {
  const disk = await openPoolDisk(t) // of four threads, housekeeping has one
  const order: number[] = []
  const call = (number: number) => disk.makeDirectory(`${number}`).then(() => order.push(number))
  const first = Array.from({ length: 500 }, (_, number) => call(number))
  await first[200]
  const second = Array.from({ length: 500 }, (_, number) => call(500 + number))
  await Promise.all([...first, ...second])
  assert.deepEqual(
    order,
    Array.from({ length: 1000 }, (_, number) => number),
  )
})

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

/** Small writes that take as long as the test says, on its own clock. */
function scriptedWrites() {
  const script = { nowMs: 0, takesMs: 0, msPerByte: 0, error: undefined as Error | undefined, beginTurn: () => {} }
  const writes = new DirectWrites({
    loopTime: new LoopTime({ nowMs: () => script.nowMs, defer: (run) => (script.beginTurn = run) }),
    write: (_, chunks) => {
      const sizeBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
      script.nowMs += script.takesMs + sizeBytes * script.msPerByte
      if (script.error) throw script.error
      return sizeBytes
    },
  })
  const write = (sizeBytes = 10) => writes.tryWrite(0, [new Uint8Array(sizeBytes)], { position: 0, sizeBytes })
  return { writes, script, write }
}

test('a small write goes without a thread, a larger one and one that meets a running sync does not', () => {
  const { writes, write } = scriptedWrites()
  assert.equal(write(128 * 1024), 128 * 1024)
  assert.equal(write(128 * 1024 + 1), undefined)
  writes.syncBegins()
  writes.syncBegins()
  assert.equal(write(), undefined)
  writes.syncEnds()
  assert.equal(write(), undefined)
  writes.syncEnds()
  assert.equal(write(), 10)
})

test('of the writes of one turn the threads get those that are worth waking one, but the first', () => {
  const { script, write } = scriptedWrites()
  const writeTurn = (sizes: readonly number[]) => {
    script.beginTurn()
    return sizes.map((kibibytes) => write(kibibytes * 1024) !== undefined)
  }
  script.msPerByte = 0.000_000_25 // 16 KiB in 4 us
  assert.deepEqual(writeTurn([16, 16, 64, 128]), [true, true, true, true])
  script.msPerByte = 0.000_002_5 // in 40 us
  for (let turn = 0; turn < 100; turn++) writeTurn([16])
  assert.deepEqual(writeTurn([16, 16, 32, 64, 16]), [true, true, false, false, true])
  assert.deepEqual(writeTurn([64, 32]), [true, false])
  script.msPerByte = 0.000_000_25
  for (let turn = 0; turn < 100; turn++) writeTurn([16])
  assert.deepEqual(writeTurn([16, 128]), [true, true], 'what was slow once is not for ever')
})

test('the small writes of one turn take a millisecond and one write at most', () => {
  const { script, write } = scriptedWrites()
  script.takesMs = 0.04
  for (let turn = 0; turn < 3; turn++) {
    script.beginTurn()
    const direct = Array.from({ length: 100 }, () => write()).filter((written) => written !== undefined)
    assert.equal(direct.length, 25)
  }
})

for (const fails of [false, true]) {
  test(`after a slow write${fails ? ' that failed' : ''} those of later turns go without a thread again`, async (t) => {
    const script = { nowMs: 0, takesMs: 2, direct: 0, fails }
    const directWrites = new DirectWrites({
      loopTime: new LoopTime({ nowMs: () => script.nowMs }),
      write(fd, chunks, position) {
        script.nowMs += script.takesMs
        script.direct += 1
        if (script.fails) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
        return writevSync(fd, chunks, position)
      },
    })
    const disk = new NodeDisk(await temporaryDirectory(t), { directWrites })
    const file = await disk.open('a', { create: true })
    t.after(() => file.close())
    if (fails) assert.throws(() => file.writeNow!(0, [Uint8Array.of(1)]), { code: 'NO_SPACE' })
    else assert.equal(file.writeNow!(0, [Uint8Array.of(1)]), true)
    Object.assign(script, { takesMs: 0.01, fails: false })
    await disk.nextTurn()
    for (let position = 0; position < 20; position++) {
      script.nowMs += 1_000
      await file.write(position, [Uint8Array.of(1)])
    }
    assert.equal(script.direct, 21)
  })
}

test('what is written without a thread goes in pieces of 64 KiB, however it lies in memory', async (t) => {
  const disk = new NodeDisk(await temporaryDirectory(t), { loopTime: new LoopTime({ nowMs: () => 0 }) })
  const file = await disk.open('a', { create: true })
  t.after(() => file.close())
  const bytes = Uint8Array.from({ length: 128 * 1024 }, (_, index) => index % 251)
  for (const cuts of [[], [1], [65_536], [65_535, 65_537], [10, 20, 70_000, 70_000, 131_071]]) {
    const chunks = [0, ...cuts].map((from, index) => bytes.subarray(from, cuts[index]))
    assert.equal(file.writeNow!(3, chunks), true)
    assert.deepEqual(await file.read(3, bytes.length), Buffer.from(bytes))
    await file.truncate(0)
  }
})

test('when small writes have to wait the next ones go to the threads, so that a tenth of the time is lost at most', () => {
  const { script, write } = scriptedWrites()
  const writeInTurn = () => {
    script.beginTurn()
    return write()
  }
  for (const waitedMs of [0.3, 3, 200]) {
    script.nowMs += 1_000
    let lostMs = 0
    const startMs = script.nowMs
    while (script.nowMs < startMs + 20_000) {
      script.takesMs = waitedMs
      if (writeInTurn() !== undefined) lostMs += waitedMs - 0.1
      script.nowMs += 0.1
    }
    const share = lostMs / (script.nowMs - startMs)
    assert(share > 0.05 && share < 0.13, `${share} of the time was lost to waits of ${waitedMs} ms`)
  }
  script.takesMs = 0.05
  script.nowMs += 2_000
  for (let count = 0; count < 1_000; count++) assert.equal(writeInTurn(), 10, 'all is well again')
})

test('a file that is full for a small write is told so, and one that takes only a part of it gets the rest', async (t) => {
  const { writes, script } = scriptedWrites()
  const disk = new NodeDisk(await temporaryDirectory(t), { directWrites: writes })
  const file = await disk.open('a', { create: true })
  t.after(() => file.close())
  script.error = Object.assign(new Error('no space left'), { code: 'ENOSPC' })
  await assert.rejects(file.write(0, [Uint8Array.of(1)]), (error: unknown) => {
    assert(error instanceof DiskError)
    assert.deepEqual([error.code, error.path], ['NO_SPACE', 'a'])
    return true
  })
  const halves = new DirectWrites({ write: (fd, [chunk], position) => writeSync(fd, chunk!, 0, 1, position) })
  const other = new NodeDisk(disk.root, { directWrites: halves })
  const partly = await other.open('b', { create: true })
  t.after(() => partly.close())
  await partly.write(3, [Uint8Array.of(1, 2), Uint8Array.of(3, 4)])
  assert.deepEqual([...(await partly.read(0, 10))], [0, 0, 0, 1, 2, 3, 4])
})

test('a loop over small writes lets timers run', async (t) => {
  const disk = new NodeDisk(await temporaryDirectory(t))
  const file = await disk.open('a', { create: true })
  t.after(() => file.close())
  let isDue = false
  setTimeout(() => (isDue = true), 1)
  for (let position = 0; !isDue; position++) {
    assert(position < 1_000_000)
    await file.write(position, [Uint8Array.of(1)])
  }
})

/** Whether a call is done before the event loop goes on to another turn: it needed no thread. */
async function isDoneAtOnce(call: () => Promise<unknown>): Promise<boolean> {
  let isLater = false
  setImmediate(() => (isLater = true))
  await call()
  return !isLater
}

test('looks at names and small files go without a thread, and at large ones to one', async (t) => {
  const disk = new NodeDisk(await temporaryDirectory(t), { loopTime: new LoopTime({ nowMs: () => 0 }) })
  const small = Uint8Array.from({ length: 64 * 1024 }, (_, index) => index % 251)
  const large = Uint8Array.from({ length: 64 * 1024 + 1 }, (_, index) => index % 251)
  await writeFile(join(disk.root, 'small'), small)
  await writeFile(join(disk.root, 'large'), large)
  const file = await disk.open('small', { readOnly: true })
  t.after(() => file.close())
  for (const [isDirect, call] of [
    [true, async () => assert.deepEqual(Buffer.from(await disk.readFile('small')), Buffer.from(small))],
    [false, async () => assert.deepEqual(Buffer.from(await disk.readFile('large')), Buffer.from(large))],
    [true, async () => assert.equal(await disk.exists('small'), true)],
    [true, async () => assert.equal(await disk.exists('none'), false)],
    [true, async () => assert.equal((await disk.list('')).length, 2)],
    [true, async () => assert.equal(await file.size(), small.length)],
    [true, () => disk.open('small').then((opened) => t.after(() => opened.close()))],
  ] as const) {
    if (isDirect) assert(await isDoneAtOnce(call), String(call))
    else assert.equal(await isDoneAtOnce(call), false, String(call))
  }
})

test('a file that has more in it than it says is read whole', { skip: process.platform !== 'linux' }, async () => {
  const disk = new NodeDisk('/proc/self')
  assert.deepEqual(Buffer.from(await disk.readFile('cmdline')), await readFile('/proc/self/cmdline'))
})

test('a directory of many names is listed by a thread', async (t) => {
  const disk = new NodeDisk(await temporaryDirectory(t), { loopTime: new LoopTime({ nowMs: () => 0 }) })
  const names = Array.from({ length: 5_000 }, (_, index) => `${index}`.padStart(40, '0'))
  for (const name of names) writeFileSync(join(disk.root, name), '')
  const isLarge = statSync(disk.root).size > 64 * 1024
  let found: readonly string[] = []
  const isDirect = await isDoneAtOnce(async () => (found = (await disk.list('')).map(({ name }) => name)))
  assert.deepEqual(found, names)
  assert.equal(isDirect, !isLarge)
})

/** Looks that take as long as the test says, on its own clock and in its own turns. */
function scriptedTime() {
  const script = { nowMs: 0, beginTurn: () => {} }
  const loopTime = new LoopTime({ nowMs: () => script.nowMs, defer: (run) => (script.beginTurn = run) })
  const done: string[] = []
  const look = (name: string, tookMs: number) =>
    loopTime.inTurn(() => {
      const startMs = loopTime.begin()
      done.push(startMs === undefined ? `${name} in the pool` : name)
      script.nowMs += tookMs
      if (startMs !== undefined) loopTime.end(startMs, 0.1)
    })
  const taken = () => done.splice(0).join()
  return { loopTime, script, look, taken }
}

test('looks that come when a turn has taken its millisecond wait for the next, and are not overtaken', () => {
  const { script, look, taken } = scriptedTime()
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) look(name, 0.4)
  assert.equal(taken(), 'a,b,c')
  script.beginTurn()
  assert.equal(taken(), 'd,e,f')
  look('h', 0.4)
  script.beginTurn()
  assert.equal(taken(), 'g,h')
  look('i', 0.4)
  look('j', 0.4)
  assert.equal(taken(), 'i')
  script.beginTurn()
  assert.equal(taken(), 'j')
})

test('looks that have to wait for the disk leave the next ones to the threads, until a tenth of the time is kept', () => {
  const { script, look, taken } = scriptedTime()
  look('a', 15.1)
  look('b', 0)
  assert.equal(taken(), 'a')
  script.beginTurn()
  assert.equal(taken(), 'b in the pool')
  script.nowMs += 34
  look('c', 0)
  script.nowMs += 2
  look('d', 0)
  assert.equal(taken(), 'c in the pool,d')
})

test('a loop over looks lets timers run', async (t) => {
  const disk = new NodeDisk(await temporaryDirectory(t))
  let isDue = false
  setTimeout(() => (isDue = true), 1)
  for (let look = 0; !isDue; look++) {
    assert(look < 1_000_000)
    await disk.exists('a')
  }
})

test('a call that Node refuses does not keep its place among those of its class', async (t) => {
  const disk = await openPoolDisk(t)
  for (let count = 0; count < 3; count++) await assert.rejects(disk.readFile('a\0b'), { name: 'DiskError', code: 'IO' })
  assert.equal(await disk.exists('a'), false)
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
