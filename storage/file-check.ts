/**
 * Looks whether the files of a log are still what was written: somebody may remove or cut them under the running
 * broker.
 */
import { DiskError } from './disk.ts'
import { withSegment } from './log-reader.ts'
import type { LogState } from './log-state.ts'
import { segmentFileName, type Segment } from './segment.ts'

export interface FileCheck {
  /**
   * Measure every segment. Otherwise the one that is written to, while it holds writes that no sync has covered:
   * looking opens files.
   */
  readonly all: boolean
  readonly isWritten: boolean
}

/**
 * What is wrong with the files of a log, in words, or undefined. Nothing else works on the log meanwhile but reads.
 *
 * @throws DiskError when the disk does not say.
 */
export async function findLostFile(state: LogState, { all, isWritten }: FileCheck): Promise<string | undefined> {
  const { segments } = state
  const measured = all ? segments : segments.slice(-1).filter((segment) => isWritten && !segment.isEmpty)
  return (await findLostName(state, segments)) ?? (await findCutSegment(measured))
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

async function findCutSegment(segments: readonly Segment[]): Promise<string | undefined> {
  for (const segment of segments) {
    const loss = await withSegment(segment, () => segment.findLoss('housekeeping'))
    if (loss !== undefined) return loss
  }
  return undefined
}
