import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryBudget, type MemoryPressure, type MemoryReader } from '../../src/network/memory-budget.ts'

/** Clients may use 1000 bytes: caches shrink at 600, fetches at 750, readers stop at 900. */
function thousandBytes(linkShareBytes = 0): MemoryBudget {
  return new MemoryBudget({ limitBytes: 1000 + linkShareBytes, linkShareBytes })
}

class Reader implements MemoryReader {
  heldBytes: number
  isReading = true

  constructor(heldBytes: number) {
    this.heldBytes = heldBytes
  }

  stopReading(): void {
    this.isReading = false
  }

  goOnReading(): void {
    this.isReading = true
  }
}

test('listeners hear each level once, on the way up and down', () => {
  const memory = thousandBytes()
  const heard: MemoryPressure[] = []
  const listening = memory.onPressure((pressure) => heard.push(pressure))
  for (let count = 0; count < 10; count++) memory.reserve('request', 100)
  for (let count = 0; count < 10; count++) memory.release('request', 100)
  assert.deepEqual(heard, ['evict', 'shrink', 'stop', 'shrink', 'evict', 'none'])
  listening[Symbol.dispose]()
  memory.reserve('request', 1000)
  assert.equal(heard.length, 6)
})

test('kinds are counted apart and together', () => {
  const memory = thousandBytes(500)
  memory.reserve('request', 1)
  memory.reserve('append', 2)
  memory.reserve('tail', 4)
  memory.reserve('response', 8)
  memory.reserve('link', 600)
  assert.equal(memory.usedBytesOf('tail'), 4)
  assert.equal(memory.usedBytes, 615)
})

test('releasing what was never reserved is a defect', () => {
  assert.throws(() => thousandBytes().release('tail', 1), /released more tail memory/)
})

test('a cache that evicts while it listens brings the level down for all', () => {
  const memory = thousandBytes()
  const heard: MemoryPressure[] = []
  memory.onPressure((pressure) => {
    if (pressure === 'evict') memory.release('tail', 500)
  })
  memory.onPressure((pressure) => heard.push(pressure))
  memory.reserve('tail', 650)
  assert.equal(memory.pressure, 'none')
  assert.deepEqual(heard, ['none'])
})

test('a cache shrinks to half at first, and to nothing when memory is short', () => {
  const memory = thousandBytes()
  const cache = {
    usedBytes: 0,
    evictTo(sizeBytes: number) {
      memory.change('tail', sizeBytes - this.usedBytes)
      this.usedBytes = sizeBytes
    },
  }
  memory.addCache(cache)
  cache.evictTo(500)
  memory.reserve('request', 100)
  assert.equal(cache.usedBytes, 250)
  memory.reserve('request', 300)
  assert.equal(cache.usedBytes, 125)
  memory.reserve('request', 350)
  assert.equal(cache.usedBytes, 0)
  assert.equal(memory.usedBytes, 750)
})

test('fetches shrink with what is free, and never to nothing', () => {
  const memory = thousandBytes()
  assert.equal(memory.fetchAllowance(), 62)
  memory.reserve('request', 800)
  assert.equal(memory.fetchAllowance(), 25)
  memory.reserve('request', 400)
  assert.equal(memory.fetchAllowance(), 1)
})

test('the reader that holds most stops first, the next one when that is not enough, the last one goes on', () => {
  const memory = thousandBytes()
  const readers = [new Reader(10), new Reader(500), new Reader(300)]
  for (const reader of readers) memory.addReader(reader)
  const reading = (): boolean[] => readers.map((reader) => reader.isReading)
  memory.reserve('request', 910)
  assert.deepEqual(reading(), [true, false, true])
  memory.reserve('request', 10)
  assert.deepEqual(reading(), [true, false, false])
  memory.reserve('request', 10)
  assert.deepEqual(reading(), [true, false, false])
  memory.release('request', 100)
  assert.deepEqual(reading(), [true, false, false], 'still above the mark where fetches shrink')
  memory.release('request', 100)
  assert.deepEqual(reading(), [true, true, true])
})

test('while appends are under way the last reader stops too, and one goes on when there are no more of them', () => {
  const memory = thousandBytes()
  const readers = [new Reader(10), new Reader(500)]
  for (const reader of readers) memory.addReader(reader)
  const reading = (): boolean[] => readers.map((reader) => reader.isReading)
  memory.reserve('request', 915)
  memory.reserve('append', 10)
  assert.deepEqual(reading(), [false, false])
  memory.release('append', 10)
  assert.deepEqual(reading(), [true, false], 'what is held now comes free only when a frame is finished')
  memory.move(100, 'request', 'append')
  memory.reserve('request', 1)
  assert.deepEqual(reading(), [false, false])
  memory.removeReader(readers[0]!)
  memory.release('append', 100)
  assert.deepEqual(reading(), [false, true])
  assert.equal(memory.usedBytes, 816)
})

test('a reader that is gone is neither stopped nor told to go on', () => {
  const memory = thousandBytes()
  const readers = [new Reader(3), new Reader(2), new Reader(1)]
  for (const reader of readers) memory.addReader(reader)
  memory.reserve('request', 910)
  assert.equal(readers[0]?.isReading, false)
  memory.removeReader(readers[0])
  memory.release('request', 910)
  assert.equal(readers[0].isReading, false)
})

test('clients at their limit leave the share of links alone', () => {
  const memory = thousandBytes(500)
  memory.reserve('request', 1000)
  assert.equal(memory.tryReserveForLinks(300), true)
  assert.equal(memory.tryReserveForLinks(200), true)
  assert.equal(memory.tryReserveForLinks(1), false)
  memory.release('link', 1)
  assert.equal(memory.tryReserveForLinks(1), true)
})

test('links use what clients leave free, and it counts as theirs', () => {
  const memory = thousandBytes(500)
  assert.equal(memory.tryReserveForLinks(500), true)
  assert.equal(memory.pressure, 'none')
  assert.equal(memory.tryReserveForLinks(700), true)
  assert.equal(memory.pressure, 'evict')
  assert.equal(memory.tryReserveForLinks(100), false)
})

test('one batch larger than the share of links is let through alone', () => {
  const memory = thousandBytes(10)
  memory.reserve('request', 900)
  assert.equal(memory.tryReserveForLinks(5000), true)
  assert.equal(memory.tryReserveForLinks(1), false)
})
