/** Looks whether the files of a log are still what was written: somebody may remove or cut them under the running broker. */
import { DiskError } from './disk.ts'
import { withSegment } from './log-reader.ts'
import type { LogState } from './log-state.ts'
import { segmentFileName, type Segment } from './segment.ts'

/**
 * What is wrong with the files of an online log, in words, or undefined. `all` measures each segment, not only the one that is
 * written to. A log that changes meanwhile is found in order: the next look tells.
 *
 * @throws DiskError when the disk does not say.
 */
export async function findLostFile(state: LogState, options: { readonly all: boolean }): Promise<string | undefined> {
  const { generation, segments } = state
  const isSame = (): boolean => state.generation === generation && state.segments === segments
  const lost =
    (await findLostName(state, segments)) ?? (await findCutSegment(options.all ? segments : segments.slice(-1), isSame))
  return isSame() ? lost : undefined
}

async function findLostName({ disk, folder }: LogState, segments: readonly Segment[]): Promise<string | undefined> {
  let names: Set<string>
  try {
    names = new Set((await disk.list(folder)).map(({ name }) => name))
  } catch (error) {
    if (error instanceof DiskError && error.code === 'NOT_FOUND')
      return `its folder ${folder} was removed under the running broker`
    throw error
  }
  const lost = segments.map(({ baseOffset }) => segmentFileName(baseOffset)).find((name) => !names.has(name))
  return lost && `its file ${folder}/${lost} was removed under the running broker`
}

/** Segments are in use while the log is the same. */
async function findCutSegment(segments: readonly Segment[], isSame: () => boolean): Promise<string | undefined> {
  for (const segment of segments) {
    if (!isSame()) return undefined
    const expectedBytes = segment.sizeBytes
    const sizeBytes = await withSegment(segment, () => segment.fileSize())
    if (sizeBytes < expectedBytes)
      return `its file ${segment.path} was cut under the running broker: got ${sizeBytes} bytes, expected ${expectedBytes} or more`
  }
  return undefined
}
