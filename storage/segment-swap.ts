/**
 * Puts one segment in the place of several, so that a crash leaves either the old ones or the new one.
 *
 * The new segment is written as `<base>.log.cleaned`, with its indexes, and sealed. Then:
 *
 *   1. sync the folder, and write `<base>.replaces`, durably: the base offsets of the old segments. From here on the
 *      new segment counts, because whatever follows is done again when the log is opened.
 *   2. rename the new files from `.cleaned` to `.swap`, then the old ones to `.deleted`; sync the folder.
 *   3. rename the new files from `.swap` to their final names, the log last; sync the folder.
 *   4. remove `<base>.replaces` and the `.deleted` files.
 *
 * The suffixes are Kafka's, and a Kafka that opens the folder at any of these points understands it; `.replaces` is our
 * own file, which it passes over. It is there because the new segment may end before the last of the old ones does
 * (their last records are gone): the names alone would not tell which segments are replaced, and records that were
 * cleaned away would be back. Where it is missing, Kafka's rule holds: `.cleaned` is dropped, a `.swap` replaces what
 * begins within it.
 */
import { strict as assert } from 'node:assert'
import { lastOffsetOf } from '../protocol/records/batch.ts'
import { scanBatches } from './batch-scan.ts'
import { formatBaseOffsets, loadFile, parseBaseOffsets } from './checkpoint-files.ts'
import type { Disk } from './disk.ts'
import type { LogState } from './log-state.ts'
import { saveNote } from './log-note.ts'
import type { PartitionLog } from './log.ts'
import { wholly } from './outcome.ts'
import type { AbortedEntry } from './producer-state.ts'
import { segmentFileKinds, segmentFileName, type Segment } from './segment.ts'

export interface Replacement {
  /** Segments that follow each other in the log, without the active one. */
  readonly old: readonly Segment[]
  /**
   * What takes their place: opened with the suffix `.cleaned` and the base offset of the first of `old`, sealed. It may
   * be empty, and may end before the last of `old` does.
   */
  readonly cleaned: Segment
  /**
   * Aborted transactions whose markers lie in `old` and are still to be told to readers. Default: all that are known.
   */
  readonly aborted?: readonly AbortedEntry[]
}

/**
 * Replaces segments, durably. To be called within `log.exclusive`, so that no other operation on the log is under way;
 * reads that are will start again. The old segments are closed after their last reader.
 *
 * @throws DiskError when a call of the disk fails. `log.exclusive` then takes the log offline, and opening it again
 * finishes or undoes the replacement; only where the disk was full before step 1 is the log as it was.
 */
export async function replaceSegments(log: PartitionLog, replacement: Replacement): Promise<void> {
  const { state } = log
  const { old, cleaned } = replacement
  const from = state.segments.indexOf(old[0]!)
  assert(from >= 0 && from + old.length < state.segments.length, 'the active segment is never replaced')
  assert(
    old.every((segment, index) => state.segments[from + index] === segment),
    'old segments follow each other',
  )
  assert(cleaned.baseOffset === old[0]!.baseOffset, 'the new segment begins where the old ones did')
  assert(cleaned.nextOffset <= state.segments[from + old.length]!.baseOffset, 'segments do not overlap')
  const { disk, folder } = state
  const listPath = replacesPath(folder, cleaned.baseOffset)
  const range = { from: cleaned.baseOffset, to: state.segments[from + old.length]!.baseOffset }
  const aborted = replacement.aborted ?? state.producers.abortedMarkedIn(range)
  await cleaned.writeAborted(aborted)
  await log.checkpoint.settled()
  // A note that speaks of only some of the old segments cannot be put right: the next one will be.
  if (state.noted && state.noted.endOffset < range.to) await log.checkpoint.forget()
  await disk.syncDirectory(folder)
  await disk.replaceFile(listPath, formatBaseOffsets(old.map((segment) => segment.baseOffset)))
  await wholly(async () => {
    await swapNames(disk, folder, { old, cleaned })
    if (state.noted) await renote(state, { old, cleaned, aborted }, range)
  })
  state.generation += 1
  state.segments = [...state.segments.slice(0, from), cleaned, ...state.segments.slice(from + old.length)]
  if (replacement.aborted) state.producers.replaceAborted(range, replacement.aborted)
  await wholly(() => disk.remove(listPath))
  for (const segment of old) {
    log.sync.forget(segment)
    await segment.retire('remove')
  }
  log.sync.noteDirectory()
}

/** The note on the disk with the new segment in the place of the old ones. */
async function renote(
  state: LogState,
  { old, cleaned, aborted = [] }: Replacement,
  range: { readonly from: bigint; readonly to: bigint },
): Promise<void> {
  const { note } = state.noted!
  const replaced = new Set(old.map((segment) => segment.baseOffset))
  const segments = note.segments.filter((segment) => !replaced.has(segment.baseOffset))
  segments.push(await cleaned.writeIndexes(cleaned.capture(), aborted))
  segments.sort((a, b) => (a.baseOffset < b.baseOffset ? -1 : 1))
  const renewed = { ...note, segments }
  await saveNote(state.disk, state.folder, renewed)
  const others = state.noted!.aborted.filter((entry) => entry.lastOffset < range.from || entry.lastOffset >= range.to)
  const inOrder = [...others, ...aborted].sort((a, b) => (a.lastOffset < b.lastOffset ? -1 : 1))
  state.noted = { ...state.noted!, aborted: inOrder, note: renewed }
}

async function swapNames(disk: Disk, folder: string, { old, cleaned }: Replacement): Promise<void> {
  await cleaned.rename('.swap')
  for (const segment of old) await segment.rename('.deleted')
  await disk.syncDirectory(folder)
  await cleaned.rename('')
  await disk.syncDirectory(folder)
}

/**
 * Finishes or undoes what a crash left of replacements, and removes the files of segments that are no more. Afterwards
 * the folder holds final names only. Returns the base offsets of segments that may not be what they were.
 */
export async function recoverSwaps(disk: Disk, folder: string, names: readonly string[]): Promise<ReadonlySet<bigint>> {
  const changed = new Set<bigint>()
  const pending = names.filter((name) => /\.(?:cleaned|swap|deleted|replaces)$/.test(name))
  if (pending.length === 0) return changed
  for (const name of pending.filter((each) => each.endsWith('.deleted'))) await disk.remove(`${folder}/${name}`)
  const lists = pending.filter((name) => name.endsWith('.replaces')).map(baseOffsetOf)
  for (const base of lists) {
    const isWhole = (['.cleaned', '.swap'] as const).some((suffix) =>
      pending.includes(segmentFileName(base, 'log') + suffix),
    )
    const old = isWhole ? await loadFile(disk, replacesPath(folder, base), parseBaseOffsets) : []
    if (old) await finish(disk, folder, { base, old, names })
    for (const each of [base, ...(old ?? [])]) changed.add(each)
  }
  await recoverByNames(disk, folder, changed)
  await disk.syncDirectory(folder)
  for (const base of lists) await disk.remove(replacesPath(folder, base))
  await disk.syncDirectory(folder)
  return changed
}

/** Kafka's rule, for what no list speaks of: cleaned files go, and so do swaps that were not complete. */
async function recoverByNames(disk: Disk, folder: string, changed: Set<bigint>): Promise<void> {
  const names = (await disk.list(folder)).map((entry) => entry.name)
  const cleaned = names.filter((name) => name.endsWith('.cleaned'))
  const firstCleaned = cleaned.length === 0 ? undefined : baseOffsetOf(cleaned[0]!)
  for (const name of cleaned) await disk.remove(`${folder}/${name}`)
  const swaps = names.filter((name) => name.endsWith('.swap'))
  for (const base of new Set(swaps.map(baseOffsetOf))) {
    const logName = `${segmentFileName(base)}.swap`
    const isUndone = firstCleaned !== undefined && base >= firstCleaned
    if (isUndone || !swaps.includes(logName)) {
      for (const kind of segmentFileKinds) await disk.remove(`${folder}/${segmentFileName(base, kind)}.swap`)
      continue
    }
    const end = await endOf(disk, `${folder}/${logName}`)
    const old = names.filter((name) => /^\d{20}\.log$/.test(name)).map(baseOffsetOf)
    const replaced = old.filter((each) => each === base || (each > base && end !== undefined && each < end))
    // What is not Kafka's newest is not to be trusted: its indexes are made again.
    for (const kind of segmentFileKinds) {
      if (kind !== 'log') await disk.remove(`${folder}/${segmentFileName(base, kind)}`)
    }
    await finish(disk, folder, { base, old: replaced, names })
    for (const each of [base, ...replaced]) changed.add(each)
  }
}

/** Steps 2 and 3 again, from wherever they broke off. */
async function finish(
  disk: Disk,
  folder: string,
  swap: { readonly base: bigint; readonly old: readonly bigint[]; readonly names: readonly string[] },
): Promise<void> {
  const isPending = (name: string): boolean =>
    swap.names.some((each) => each === `${name}.cleaned` || each === `${name}.swap`)
  for (const each of swap.old.toReversed()) {
    for (const kind of segmentFileKinds) {
      const name = segmentFileName(each, kind)
      // An index that has its final name already is the new one: a sealed segment has one of each kind.
      if (each !== swap.base || isPending(name)) await disk.remove(`${folder}/${name}`)
    }
  }
  await disk.syncDirectory(folder)
  for (const kind of segmentFileKinds) {
    const name = segmentFileName(swap.base, kind)
    for (const suffix of ['.cleaned', '.swap']) {
      if (swap.names.includes(name + suffix)) await disk.rename(`${folder}/${name}${suffix}`, `${folder}/${name}`)
    }
  }
  await disk.syncDirectory(folder)
}

/** One behind the last offset of a segment file, undefined where it has no batch. */
async function endOf(disk: Disk, path: string): Promise<bigint | undefined> {
  const file = await disk.open(path, { readOnly: true })
  try {
    let end: bigint | undefined
    for await (const batches of scanBatches(file, { from: 0, to: await file.size() })) {
      end = lastOffsetOf(batches.at(-1)!.header) + 1n
    }
    return end
  } finally {
    await file.close()
  }
}

function replacesPath(folder: string, baseOffset: bigint): string {
  return `${folder}/${segmentFileName(baseOffset, 'replaces')}`
}

function baseOffsetOf(name: string): bigint {
  return BigInt(name.slice(0, 20))
}
