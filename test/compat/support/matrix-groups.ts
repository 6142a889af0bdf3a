/** What the members of a group go through in the client matrix. */
import assert from 'node:assert/strict'
import { kafkajsClient } from './clients.ts'
import { Driver, type Member } from './driver.ts'
import { driverOf, isExcluded, type Client } from './matrix.ts'
import { eventually } from './processes.ts'

export const assignors = ['range', 'roundrobin', 'sticky', 'cooperative-sticky'] as const
export type Assignor = (typeof assignors)[number]

export const groupPartitions = 4
/** Of members that are not static. */
export const sessionTimeoutMs = 10_000
const allPartitions = [0, 1, 2, 3]

/** A topic, the group that reads it, and what was written to it. */
interface GroupRide {
  readonly bootstrap: string
  readonly topic: string
  readonly group: string
  readonly assignor: Assignor
  readonly written: Set<string>
}

/** A member and the driver that has it. */
interface Seat {
  readonly driver: Driver
  readonly handle: string
  readonly member: Member
}

/** Writes so many distinct records, spread over the partitions. */
async function write({ bootstrap, topic, written }: GroupRide, label: string, count: number): Promise<void> {
  const producer = kafkajsClient(bootstrap).producer()
  await producer.connect()
  try {
    const messages = Array.from({ length: count }, (_, index) => {
      const text = `${label}-${index}`
      return { key: text, value: text, partition: index % groupPartitions }
    })
    await producer.send({ topic, messages, acks: -1 })
    for (const { key } of messages) written.add(key)
  } finally {
    await producer.disconnect()
  }
}

/** What a group has committed, by partition; -1 for nothing. */
export async function committedOffsets(bootstrap: string, groupId: string, topic: string): Promise<number[]> {
  const admin = kafkajsClient(bootstrap).admin()
  await admin.connect()
  try {
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
    return found!.partitions.toSorted((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset))
  } finally {
    await admin.disconnect()
  }
}

async function committed({ bootstrap, group, topic }: GroupRide): Promise<number[]> {
  return await committedOffsets(bootstrap, group, topic)
}

/** An assignor that the client has, of those whose members give up everything in a rebalance. */
export function eagerAssignorOf(client: Client): Assignor {
  return isExcluded(client, 'group range') ? 'roundrobin' : 'range'
}

function endsOf({ written }: GroupRide): number[] {
  return allPartitions.map(() => written.size / groupPartitions)
}

async function join(ride: GroupRide, driver: Driver, handle: string, instanceId?: string): Promise<Seat> {
  const { bootstrap, topic, group, assignor } = ride
  const member = driver.member(handle)
  // A static member has this long to come back, and a driver may take some seconds to start beside others.
  const instance = instanceId === undefined ? { sessionTimeoutMs } : { sessionTimeoutMs: 30_000, instanceId }
  await driver.send({ do: 'join', bootstrap, topic, group, assignor, handle, ...instance })
  return { driver, handle, member }
}

function partitionsOf({ member }: Seat): readonly number[] {
  return member.assignments.at(-1) ?? []
}

/** Waits until the members have all partitions between them, none of them twice, and each at least one. */
async function untilShared(...seats: readonly Seat[]): Promise<void> {
  const show = (): string => seats.map((seat) => JSON.stringify(partitionsOf(seat))).join(' and ')
  await waitFor(seats, `${seats.length} members share the partitions`, show, () => {
    const all = seats.flatMap((seat) => [...partitionsOf(seat)]).toSorted((a, b) => a - b)
    return all.join() === allPartitions.join() && seats.every((seat) => partitionsOf(seat).length > 0)
  })
}

/** Waits until each record that was written was given to one of these members at least. */
async function untilRead({ written }: GroupRide, ...seats: readonly Seat[]): Promise<void> {
  const unseen = (): string[] => {
    const seen = new Set(seats.flatMap(({ member }) => member.records.map(({ key }) => key)))
    return [...written].filter((key) => !seen.has(key))
  }
  const show = (): string => {
    const members = seats.map((seat) => {
      return `${seat.handle} has ${JSON.stringify(partitionsOf(seat))} and ${seat.member.records.length} records`
    })
    return `${unseen().length} of ${written.size} were not, first ${unseen()[0]}; ${members.join(', ')}`
  }
  await waitFor(seats, 'all records are read', show, () => unseen().length === 0)
  for (const { member } of seats) for (const { key, value } of member.records) assert.equal(value, key)
}

/** As `Driver.until`, for members of several drivers. */
async function waitFor(
  seats: readonly Seat[],
  what: string,
  state: () => string,
  isTrue: () => boolean,
): Promise<void> {
  const drivers = new Set(seats.map(({ driver }) => driver))
  const timeoutMs = 30_000
  if (drivers.size === 1) return await seats[0]!.driver.until(what, isTrue, { state, timeoutMs })
  await eventually(what, () => Promise.resolve(isTrue()), timeoutMs).catch((error: Error) => {
    const complaints = [...drivers].map((driver) => driver.complaints).join('')
    throw new Error(`${error.message}; ${state()}; the drivers printed: ${complaints}`)
  })
}

function rideOf(client: Client, bootstrap: string, what: string, assignor: Assignor): GroupRide {
  return { bootstrap, topic: `${what}-${client.name}`, group: `${what}-${client.name}`, assignor, written: new Set() }
}

/** The topic of a client's group. */
export function groupTopic(client: Client, what: Assignor | 'static'): string {
  return `${what}-${client.name}`
}

/**
 * A member has the topic alone, a second one joins, the first leaves, then the second: nothing stays unread, and when
 * the last has left, what is committed is all there is.
 */
export async function shareGroup(client: Client, bootstrap: string, assignor: Assignor): Promise<void> {
  const ride = rideOf(client, bootstrap, assignor, assignor)
  const driver = driverOf(client)
  const first = await join(ride, driver, `${assignor}-first`)
  await write(ride, 'alone', 40)
  await untilShared(first)
  await untilRead(ride, first)

  const second = await join(ride, driver, `${assignor}-second`)
  await untilShared(first, second)
  await write(ride, 'shared', 40)
  await untilRead(ride, first, second)
  // The first may read on what it gave up, until it has noticed; the second reads it again.
  const hasShared = ({ member }: Seat): boolean => member.records.some(({ key }) => key.startsWith('shared'))
  await driver.until('both members are given records', () => hasShared(first) && hasShared(second))

  await driver.send({ do: 'leave', bootstrap, handle: first.handle })
  await untilShared(second)
  await write(ride, 'left', 40)
  await untilRead(ride, first, second)
  await driver.send({ do: 'leave', bootstrap, handle: second.handle })
  assert.deepEqual(await committed(ride), endsOf(ride))
}

/**
 * A static member dies and comes back within its session: it has its partitions again, and the other one notices
 * nothing.
 */
export async function comeBackAsStaticMember(client: Client, bootstrap: string): Promise<void> {
  const ride = rideOf(client, bootstrap, 'static', eagerAssignorOf(client))
  const stays = await join(ride, driverOf(client), 'stays', 'stays')
  await write(ride, 'alone', 40)
  await untilRead(ride, stays)
  const mortal = new Driver(client.command)
  const reborn = new Driver(client.command)
  try {
    const dies = await join(ride, mortal, 'dies', 'dies')
    await untilShared(stays, dies)
    await write(ride, 'shared', 40)
    await untilRead(ride, stays, dies)
    await eventually('all is committed', async () => (await committed(ride)).join() === endsOf(ride).join())
    const before = partitionsOf(dies)
    const noticed = stays.member.assignments.length
    await mortal.kill()

    const back = await join(ride, reborn, 'dies', 'dies')
    await untilShared(stays, back)
    await write(ride, 'back', 40)
    await untilRead(ride, stays, dies, back)
    assert.deepEqual(partitionsOf(back), before)
    assert.equal(stays.member.assignments.length, noticed, 'the other member saw no rebalance')
    await reborn.send({ do: 'leave', bootstrap, handle: 'dies' })
  } finally {
    await Promise.all([mortal.kill(), reborn.kill()])
  }
  await driverOf(client).send({ do: 'leave', bootstrap, handle: 'stays' })
}
