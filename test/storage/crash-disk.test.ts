/** The disk that other tests lose power on: what it keeps and what it may lose. */
import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { diskContract } from '../contracts/disk.ts'
import { CrashDisk, seededNumbers } from '../support/crash-disk.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)

diskContract('CrashDisk', async () => new CrashDisk(seededNumbers(1)))

/** What a file has after so many power cuts, each from a seed of its own; undefined where it is missing. */
async function outcomes(
  prepare: (disk: CrashDisk) => Promise<void>,
  look: (disk: CrashDisk) => Promise<string>,
  model: ConstructorParameters<typeof CrashDisk>[1] = {},
): Promise<Set<string>> {
  const found = new Set<string>()
  for (let seed = 0; seed < 150; seed++) {
    const disk = new CrashDisk(seededNumbers(seed), model)
    await prepare(disk)
    found.add(await look(disk.crash()))
  }
  return found
}

async function write(disk: CrashDisk, path: string, text: string, position = 0): Promise<void> {
  const file = await disk.open(path, { create: true })
  await file.write(position, [bytesOf(text)])
  await file.close()
}

async function sync(disk: CrashDisk, path: string): Promise<void> {
  const file = await disk.open(path)
  await file.sync()
  await file.close()
}

const contentOf = async (disk: CrashDisk, path = 'a'): Promise<string> =>
  (await disk.exists(path)) ? Buffer.from(await disk.readFile(path)).toString() : 'missing'

test('what was synced, content and name, is there after a power cut', async () => {
  const found = await outcomes(
    async (disk) => {
      await write(disk, 'a', 'synced')
      await sync(disk, 'a')
      await disk.syncDirectory('')
    },
    (disk) => contentOf(disk),
  )
  assert.deepEqual([...found], ['synced'])
})

test('an unsynced write is there, gone or torn at any byte', async () => {
  const found = await outcomes(
    async (disk) => {
      await write(disk, 'a', 'a')
      await sync(disk, 'a')
      await disk.syncDirectory('')
      await write(disk, 'a', 'bcd', 1)
    },
    (disk) => contentOf(disk),
  )
  for (const each of ['a', 'ab', 'abc', 'abcd', 'a\0\0\0'])
    assert(found.has(each), `${each} among ${[...found].join()}`)
})

test('unsynced writes are kept in any combination, or in order where the model says so', async () => {
  const [first, second] = ['1'.repeat(64), '2'.repeat(64)]
  const prepare = async (disk: CrashDisk) => {
    await write(disk, 'a', '.'.repeat(128))
    await sync(disk, 'a')
    await disk.syncDirectory('')
    await write(disk, 'a', first)
    await write(disk, 'a', second, 64)
  }
  const overtaken = '.'.repeat(64) + second
  assert((await outcomes(prepare, (disk) => contentOf(disk))).has(overtaken))
  const model = { reordersWrites: false, tearsWrites: false }
  const inOrder = await outcomes(prepare, (disk) => contentOf(disk), model)
  assert.deepEqual([...inOrder].sort(), ['.'.repeat(128), first + '.'.repeat(64), first + second])
  assert.deepEqual([...(await outcomes(prepare, (disk) => contentOf(disk), { forgetsBytes: false }))], [first + second])
})

test('a sync covers the writes that were complete when it began, and no others', async () => {
  const disk = new CrashDisk(() => 0)
  const file = await disk.open('a', { create: true })
  await disk.syncDirectory('')
  await file.write(0, [bytesOf('one')])
  const syncing = file.sync()
  await Promise.all([file.write(3, [bytesOf('two')]), syncing])
  assert.equal(await contentOf(disk.crash()), 'one')
  await file.sync()
  assert.equal(await contentOf(disk.crash()), 'onetwo')
})

test('names that were not synced are lost one by one, or not at all where the model says so', async () => {
  const prepare = async (disk: CrashDisk) => {
    await write(disk, 'old', '')
    await disk.syncDirectory('')
    await disk.remove('old')
    await write(disk, 'a', '')
    await write(disk, 'b', '')
  }
  const found = await outcomes(prepare, async (disk) => disk.paths.join())
  assert.deepEqual([...found].sort(), ['', 'a', 'a,b', 'a,b,old', 'a,old', 'b', 'b,old', 'old'])
  assert.deepEqual([...(await outcomes(prepare, async (disk) => disk.paths.join(), { losesNames: false }))], ['a,b'])
})

test('after a power cut in a rename the one name or the other is there, also of a directory', async () => {
  const found = await outcomes(
    async (disk) => {
      await disk.makeDirectory('from')
      await write(disk, 'from/a', 'x')
      await sync(disk, 'from/a')
      await disk.syncDirectory('from')
      await disk.syncDirectory('')
      await disk.rename('from', 'to')
      await disk.rename('to/a', 'to/b')
    },
    async (disk) => disk.paths.join(),
  )
  assert.deepEqual([...found].sort(), ['from/a', 'from/b', 'to/a', 'to/b'])
})

test('a name that is renamed over has the old or the new file, and a replaced file its old or new content', async () => {
  for (const isSynced of [true, false]) {
    const found = await outcomes(
      async (disk) => {
        await disk.replaceFile('a', bytesOf('old'))
        if (isSynced) return disk.replaceFile('a', bytesOf('new'))
        await write(disk, 'b', 'new')
        await sync(disk, 'b')
        await disk.rename('b', 'a')
      },
      (disk) => contentOf(disk),
    )
    assert.deepEqual([...found].sort(), isSynced ? ['new'] : ['new', 'old'])
  }
})

test('a later operation on a name or a file never outlives an earlier one', async () => {
  const found = await outcomes(
    async (disk) => {
      await write(disk, 'a', '')
      await disk.rename('a', 'b')
      await disk.remove('b')
      await write(disk, 'b', '')
      await disk.rename('b', 'c')
    },
    async (disk) => disk.paths.join(),
  )
  assert.deepEqual([...found].sort(), ['', 'a', 'b', 'c'])
})

test('a directory that was not synced is lost with all that is in it', async () => {
  const found = await outcomes(
    async (disk) => {
      await disk.makeDirectory('d')
      await write(disk, 'd/a', '')
      await disk.syncDirectory('d')
    },
    async (disk) => disk.paths.join(),
  )
  assert.deepEqual([...found].sort(), ['', 'd/a'])
})

test('what a killed process wrote is there, and still not durable', async () => {
  const disk = new CrashDisk(() => 0)
  await write(disk, 'a', 'x')
  const next = disk.kill()
  await assert.rejects(disk.exists('a'), { code: 'IO' })
  assert.equal(await contentOf(next), 'x')
  assert.equal(await contentOf(next.crash()), 'missing')
})

test('the n-th call fails, once or from then on, with or without its effect', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  disk.failAt(2, { once: true, code: 'NO_SPACE', withoutEffect: true })
  await disk.makeDirectory('a')
  await assert.rejects(disk.makeDirectory('b'), { code: 'NO_SPACE' })
  assert.equal(await disk.exists('b'), false)
  disk.failAt(1)
  for (let call = 0; call < 3; call++) await assert.rejects(disk.exists('a'), { code: 'IO' })
  const contents = await outcomes(
    async (failing) => {
      const file = await failing.open('a', { create: true })
      failing.failAt(1, { once: true })
      await assert.rejects(file.write(0, [bytesOf('abc')]))
      await file.sync()
      await failing.syncDirectory('')
    },
    (after) => contentOf(after),
  )
  assert.deepEqual([...contents].sort(), ['', 'a', 'ab', 'abc'])
})

test('a disk that is full takes what it has room for, and everything once there is room', async () => {
  const disk = new CrashDisk(seededNumbers(1))
  disk.capacityBytes = 5
  await assert.rejects(write(disk, 'a', 'abcdefg'), { code: 'NO_SPACE' })
  assert.equal(await contentOf(disk), 'abcde')
  await assert.rejects(disk.open('b', { create: true }), { code: 'NO_SPACE' })
  await write(disk, 'a', 'A')
  disk.capacityBytes = 10
  await write(disk, 'a', 'abcdefg')
  assert.equal(await contentOf(disk), 'abcdefg')
})
