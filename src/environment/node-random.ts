/** Cryptographically strong chance. */
import { randomBytes, randomInt } from 'node:crypto'
import type { Random } from './environment.ts'
import { randomUuid } from './random-uuid.ts'

export const nodeRandom: Random = {
  bytes: randomBytes,
  below: (limit) => randomInt(limit),
  uuid: () => randomUuid(randomBytes),
}
