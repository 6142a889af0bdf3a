/** The clients of the matrix, their drivers, and how a scenario is run with one of them and noted in the report. */
import { test, type TestContext } from 'node:test'
import { buildDriver, Driver, DriverError } from './driver.ts'
import { exclusions, type Exclusion } from './exclusions.ts'
import { missingFor, type DriverName, driverNames } from './peers.ts'
import { report } from './report.ts'

interface Client {
  readonly name: DriverName
  readonly version: string
  readonly command: readonly string[]
}

/** The order of columns of docs/compatibility.md. */
export type Column = 'codecs written' | 'codecs read' | 'idempotent' | 'groups' | 'admin' | 'restart' | 'mirror'

/** Clients whose drivers run here, by `startClients`. $MATRIX, names with commas between them, chooses some. */
export const clients: Client[] = []
const drivers = new Map<DriverName, Driver>()
const usedExclusions = new Set<Exclusion>()

const chosen = process.env['MATRIX']?.split(',')

/**
 * Builds all drivers, one after the other, and asks each who it is. A client that fails here is in no other scenario.
 */
export async function startClients(t: TestContext): Promise<void> {
  for (const name of driverNames) {
    if (chosen && !chosen.includes(name)) continue
    await t.test(`the driver of ${name} says who it is`, { timeout: 900_000 }, async (t) => {
      const missing = await missingFor(name)
      if (missing !== undefined) {
        report({ peer: name, what: 'build', outcome: 'skipped', reason: missing })
        t.skip(`${name}: ${missing}`)
        return
      }
      const command = await buildDriver(name)
      const driver = new Driver(command)
      drivers.set(name, driver)
      const { version } = await driver.send<{ version: string }>({ do: 'hello' })
      clients.push({ name, version, command })
    })
  }
}

export async function endClients(): Promise<void> {
  await Promise.all([...drivers.values()].map((driver) => driver.end()))
}

/** The driver of a client; a new one where the last has ended by itself. */
export function driverOf(client: Client): Driver {
  const known = drivers.get(client.name)
  if (known && !known.hasEnded) return known
  const driver = new Driver(client.command)
  drivers.set(client.name, driver)
  return driver
}

export type { Client }

function exclusionOf(client: Client, scenario: string): Exclusion | undefined {
  return exclusions.find(
    (row) =>
      row.client === client.name &&
      (row.scenario.endsWith('*') ? scenario.startsWith(row.scenario.slice(0, -1)) : row.scenario === scenario),
  )
}

/** True when the scenario is not for this client. */
export function isExcluded(client: Client, scenario: string): boolean {
  return exclusionOf(client, scenario) !== undefined
}

/** Runs a scenario with a client as a test of its own, and notes how it ended. Resolves with whether it passed. */
export async function attempt(
  t: TestContext,
  client: Client,
  { scenario, column }: { readonly scenario: string; readonly column: Column },
  run: () => Promise<void>,
): Promise<boolean> {
  let hasPassed = false
  await t.test(`${client.name}: ${scenario}`, async (t) => {
    const result = { peer: client.name, version: client.version, what: scenario, column }
    const exclusion = exclusionOf(client, scenario)
    let failure: unknown
    try {
      await run()
      hasPassed = true
    } catch (error) {
      failure = error
    }
    if (exclusion) {
      usedExclusions.add(exclusion)
      expectExcluded(exclusion, hasPassed, failure)
      report({ ...result, outcome: 'not applicable', reason: exclusion.reason })
      return
    }
    report({ ...result, outcome: hasPassed ? 'passed' : 'failed' })
    if (hasPassed) return
    t.diagnostic(`the driver printed: ${drivers.get(client.name)?.complaints}`)
    throw failure
  })
  return hasPassed
}

function expectExcluded(exclusion: Exclusion, hasPassed: boolean, failure: unknown): void {
  const { client, scenario, error = 'UNSUPPORTED' } = exclusion
  if (hasPassed) throw new Error(`'${scenario}' passes with ${client}: remove it from the exclusions`)
  if (failure instanceof DriverError && failure.kafka === error) return
  throw new Error(`'${scenario}' fails with ${client} in another way than its exclusion says, ${error}`, {
    cause: failure,
  })
}

/** A test that runs `run` for every client at once, at most `concurrency` of them. */
export function forEveryClient(
  name: string,
  options: { readonly concurrency: number },
  run: (t: TestContext) => Promise<void>,
): void {
  test(name, { timeout: 300_000, concurrency: options.concurrency }, run)
}

/** Exclusions of clients that ran here, none of whose scenarios did. */
export function unusedExclusions(): Exclusion[] {
  return exclusions.filter((row) => clients.some(({ name }) => name === row.client) && !usedExclusions.has(row))
}
