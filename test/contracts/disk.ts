/** What every Disk must do. */
import { strict as assert } from 'node:assert'
import { test, type TestContext } from 'node:test'
import { DiskError, type Disk, type DiskErrorCode } from '../../storage/disk.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

async function refuses(code: DiskErrorCode, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert(error instanceof DiskError)
    assert.equal(error.code, code)
    return true
  })
}

export function diskContract(name: string, makeDisk: (t: TestContext) => Promise<Disk>): void {
  test(`${name}: chunks of one write follow each other from the position on`, async (t) => {
    const disk = await makeDisk(t)
    const file = await disk.open('a.log', { create: true })
    await file.write(0, [bytesOf('one'), new Uint8Array(0), bytesOf('two'), bytesOf('three')])
    await file.write(6, [bytesOf('THREE')])
    assert.equal(textOf(await file.read(0, 100)), 'onetwoTHREE')
    assert.equal(await file.size(), 11)
    await file.close()
  })

  test(`${name}: what is written at once is there, or may be written again, and nobody else's turn is taken for it`, async (t) => {
    const disk = await makeDisk(t)
    const file = await disk.open('a.log', { create: true })
    for (const [position, text] of [
      [0, 'hello '],
      [6, 'world'],
    ] as const) {
      const chunks = [bytesOf(text.slice(0, 3)), bytesOf(text.slice(3))]
      let isTurnOver = false
      void disk.nextTurn().then(() => (isTurnOver = true), assert.fail)
      const isWritten = file.writeNow?.(position, chunks) ?? false
      assert.equal(isTurnOver, false)
      if (!isWritten) await file.write(position, chunks)
    }
    assert.equal(textOf(await file.read(0, 100)), 'hello world')
    await file.close()
    if (file.writeNow) assert.throws(() => file.writeNow!(0, [bytesOf('x')]), { code: 'CLOSED' })
    await refuses('CLOSED', file.write(0, []))
  })

  test(`${name}: all who ask for the next turn before it comes get the same, and who asks then another`, async (t) => {
    const disk = await makeDisk(t)
    const order: string[] = []
    const first = disk.nextTurn().then(() => {
      order.push('first')
      return disk.nextTurn().then(() => order.push('third'))
    })
    await Promise.resolve()
    const second = disk.nextTurn().then(() => order.push('second'))
    assert.deepEqual(order, [], 'not before what runs now has run')
    await Promise.all([first, second])
    assert.deepEqual(order, ['first', 'second', 'third'])
  })

  test(`${name}: a write of more chunks than the system takes at once is complete`, async (t) => {
    const disk = await makeDisk(t)
    const file = await disk.open('a.log', { create: true })
    const chunks = Array.from({ length: 2500 }, (_, index) => Uint8Array.of(index & 0xff, index >> 8))
    await file.write(3, chunks)
    const read = await file.read(3, 5000)
    assert.deepEqual(Buffer.from(read), Buffer.concat(chunks))
    await file.close()
  })

  test(`${name}: reads are short at the end of the file and empty behind it`, async (t) => {
    const disk = await makeDisk(t)
    const file = await disk.open('a.log', { create: true })
    await file.write(0, [bytesOf('hello')])
    assert.equal(textOf(await file.read(3, 10)), 'lo')
    assert.equal((await file.read(5, 10)).length, 0)
    assert.equal((await file.read(500, 10)).length, 0)
    await file.close()
  })

  test(`${name}: a hole and what truncate adds read as zeros, also over bytes that were there`, async (t) => {
    const disk = await makeDisk(t)
    const file = await disk.open('a.log', { create: true })
    await file.write(40_000, [bytesOf('x')])
    assert.deepEqual(await file.read(39_998, 3).then((bytes) => [...bytes]), [0, 0, 120])
    await file.truncate(2)
    await file.truncate(40_001)
    assert.deepEqual(await file.read(39_999, 2).then((bytes) => [...bytes]), [0, 0])
    await file.close()
  })

  test(`${name}: what was written is a copy, and what was read is the reader's own`, async (t) => {
    const disk = await makeDisk(t)
    const file = await disk.open('a.log', { create: true })
    const mine = bytesOf('abc')
    await file.write(0, [mine])
    mine.fill(0)
    const read = await file.read(0, 3)
    assert.equal(textOf(read), 'abc')
    read.fill(0)
    assert.equal(textOf(await file.read(0, 3)), 'abc')
    await file.close()
  })

  test(`${name}: files are created only when asked, and exclusively when asked`, async (t) => {
    const disk = await makeDisk(t)
    await refuses('NOT_FOUND', disk.open('a.log'))
    await refuses('NOT_FOUND', disk.open('missing/a.log', { create: true }))
    const file = await disk.open('a.log', { exclusive: true })
    await file.close()
    await refuses('EXISTS', disk.open('a.log', { exclusive: true }))
    await refuses('NOT_FOUND', disk.readFile('b.log'))
    await refuses('NOT_FOUND', disk.list('nowhere'))
    assert.equal(await disk.exists('a.log'), true)
    assert.equal(await disk.exists('b.log'), false)
  })

  test(`${name}: every call on a closed file is refused`, async (t) => {
    const disk = await makeDisk(t)
    const file = await disk.open('a.log', { create: true })
    await file.sync()
    await file.close()
    await refuses('CLOSED', file.read(0, 1))
    await refuses('CLOSED', file.write(0, [bytesOf('x')]))
    await refuses('CLOSED', file.sync())
    await refuses('CLOSED', file.truncate(0))
    await refuses('CLOSED', file.close())
  })

  test(`${name}: a file opened for reading refuses writes`, async (t) => {
    const disk = await makeDisk(t)
    await disk.open('a.log', { create: true }).then((file) => file.close())
    const file = await disk.open('a.log', { readOnly: true })
    await refuses('READ_ONLY', file.write(0, [bytesOf('x')]))
    await file.close()
  })

  test(`${name}: directories list their entries by name, and only their own`, async (t) => {
    const disk = await makeDisk(t)
    await disk.makeDirectory('logs/orders-1')
    await disk.makeDirectory('logs/orders-0')
    await disk.makeDirectory('logs')
    await disk.replaceFile('logs/orders-0/a', bytesOf('x'))
    await disk.replaceFile('logs/b', bytesOf('x'))
    assert.deepEqual(await disk.list('logs'), [
      { name: 'b', isDirectory: false },
      { name: 'orders-0', isDirectory: true },
      { name: 'orders-1', isDirectory: true },
    ])
    assert.deepEqual(await disk.list(''), [{ name: 'logs', isDirectory: true }])
    await disk.syncDirectory('logs')
    await disk.syncDirectory('')
  })

  test(`${name}: nothing is below a file`, async (t) => {
    const disk = await makeDisk(t)
    await disk.replaceFile('a', Uint8Array.of(1))
    assert.equal(await disk.exists('a/b'), false)
    await assert.rejects(disk.readFile('a/b'), { code: 'NOT_FOUND', path: 'a/b' })
    await assert.rejects(disk.open('a/b'), { code: 'NOT_FOUND', path: 'a/b' })
  })

  test(`${name}: replaceFile replaces, and leaves nothing beside`, async (t) => {
    const disk = await makeDisk(t)
    await disk.replaceFile('a', bytesOf('a longer first content'))
    await disk.replaceFile('a', bytesOf('short'))
    assert.equal(textOf(await disk.readFile('a')), 'short')
    assert.deepEqual(await disk.list(''), [{ name: 'a', isDirectory: false }])
  })

  test(`${name}: a rename moves all that is in a directory, and replaces a file`, async (t) => {
    const disk = await makeDisk(t)
    await disk.makeDirectory('a/deep')
    await disk.replaceFile('a/deep/x', bytesOf('x'))
    await disk.rename('a', 'b')
    assert.equal(textOf(await disk.readFile('b/deep/x')), 'x')
    assert.equal(await disk.exists('a'), false)
    await disk.replaceFile('one', bytesOf('1'))
    await disk.replaceFile('two', bytesOf('2'))
    await disk.rename('one', 'two')
    assert.equal(textOf(await disk.readFile('two')), '1')
    await refuses('NOT_FOUND', disk.rename('nothing', 'c'))
  })

  test(`${name}: a removed file can be read by whoever has it open, and its name is free`, async (t) => {
    const disk = await makeDisk(t)
    const file = await disk.open('a.log', { create: true })
    await file.write(0, [bytesOf('old')])
    await disk.remove('a.log')
    await disk.remove('a.log')
    const next = await disk.open('a.log', { exclusive: true })
    await next.write(0, [bytesOf('new')])
    assert.equal(textOf(await file.read(0, 3)), 'old')
    assert.equal(textOf(await next.read(0, 3)), 'new')
    await file.close()
    await next.close()
    await disk.makeDirectory('d/e')
    await disk.replaceFile('d/e/f', bytesOf('x'))
    await disk.remove('d')
    assert.equal(await disk.exists('d/e/f'), false)
  })

  test(`${name}: a file says how large it is, and whether a name leads to it`, async (t) => {
    const disk = await makeDisk(t)
    const file = await disk.open('a.log', { create: true })
    await file.write(0, [bytesOf('abc')])
    assert.deepEqual(await file.stat(), { sizeBytes: 3, isLinked: true })
    await disk.rename('a.log', 'b.log')
    assert.equal((await file.stat()).isLinked, true)
    await disk.replaceFile('b.log', bytesOf('new'))
    assert.equal((await file.stat()).isLinked, false)
    const next = await disk.open('b.log')
    await disk.remove('b.log')
    assert.deepEqual(await next.stat(), { sizeBytes: 3, isLinked: false })
    await file.close()
    await next.close()
  })

  test(`${name}: the lock is held once, says who holds it, and is free after its release`, async (t) => {
    const disk = await makeDisk(t)
    const lock = await disk.lock()
    await refuses('LOCKED', disk.lock())
    await lock.release()
    const again = await disk.lock()
    await again.release()
  })
}
