/** The states of a mirror topic that are persisted, and the moves between them. */
import type { MirrorStateName } from '../metadata/metadata-store.ts'

export type MirrorEvent = 'pause' | 'resume' | 'failover' | 'fail' | 'stopped'

/** Every legal move. An event missing from a row is illegal in that state. STOPPED is final. */
export const mirrorMoves: Record<MirrorStateName, Partial<Record<MirrorEvent, MirrorStateName>>> = {
  ACTIVE: { pause: 'PAUSED', failover: 'PENDING_STOPPED', fail: 'FAILED', resume: 'ACTIVE' },
  PAUSED: { resume: 'ACTIVE', failover: 'PENDING_STOPPED', fail: 'FAILED', pause: 'PAUSED' },
  FAILED: { failover: 'PENDING_STOPPED' },
  PENDING_STOPPED: { failover: 'PENDING_STOPPED', stopped: 'STOPPED' },
  STOPPED: {},
}
