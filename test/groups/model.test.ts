/**
 * Consumers that join, sync, commit, leave, fall silent and come back at random, a store that fails at random, restarts
 * at random times: held against a model that knows who may commit, and what was committed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Random } from '../../src/environment/environment.ts'
import { seededRandom } from '../../src/environment/seeded-random.ts'
import type { Group, JoinAnswer } from '../../src/groups/group.ts'
import { parseGroupRecord } from '../../src/groups/group-records.ts'
import { MemoryCoordinatorStore } from '../support/memory-coordinator-store.ts'
import { nameOf, openTestGroups, textOf, type TestGroups } from '../support/groups.ts'

/** A member as it was answered. */
type Identity = Pick<JoinAnswer, 'memberId' | 'generationId'> & { readonly instance: string | null }

/**
 * What must hold, whatever happens. It learns from answers, and at a restart from the last record of the group:
 * generations that were not written down yet never happened then, and their numbers come again.
 */
class Model {
  generation = 0
  committed = -1n
  readonly gone = new Set<string>()
  readonly memberOfInstance = new Map<string, string>()
  readonly leaderOf = new Map<number, string>()
  readonly assignmentOf = new Map<string, string>()

  /** Whether a commit that is sent now may be accepted, as far as this model knows. */
  mayCommit({ memberId, generationId, instance }: Identity): boolean {
    if (this.gone.has(memberId) || generationId !== this.generation) return false
    return instance === null || this.memberOfInstance.get(instance) === memberId
  }

  restarted(record: Group | undefined, identities: readonly Identity[]): void {
    this.generation = record?.generationId ?? 0
    this.gone.clear()
    for (const { memberId } of identities) if (!record?.members.has(memberId)) this.gone.add(memberId)
    this.memberOfInstance.clear()
    for (const { memberId, groupInstanceId } of record?.members.values() ?? [])
      if (groupInstanceId !== null) this.memberOfInstance.set(groupInstanceId, memberId)
    for (const generation of this.leaderOf.keys()) if (generation > this.generation) this.leaderOf.delete(generation)
    for (const key of this.assignmentOf.keys())
      if (Number(key.split(' ')[0]) > this.generation) this.assignmentOf.delete(key)
  }

  joined(answer: JoinAnswer, instance: string | null): void {
    const { generationId = -1, memberId, leader } = answer
    assert(generationId >= this.generation, `generation ${generationId} after ${this.generation}`)
    this.generation = generationId
    const known = this.leaderOf.get(generationId)
    if (instance !== null) {
      const old = this.memberOfInstance.get(instance)
      if (old !== undefined && old !== memberId) this.gone.add(old)
      this.memberOfInstance.set(instance, memberId)
    }
    // Within a generation the leader changes its id when it is static and comes back, and else never.
    const isSame = known === undefined || known === leader || this.gone.has(known)
    assert(isSame, `generation ${generationId} is led by ${known}, and by ${leader}`)
    this.leaderOf.set(generationId, leader ?? '')
    assert.equal(answer.protocolName, 'range')
  }

  synced({ memberId, generationId }: Identity, assignment: string): void {
    assert(assignment === '' || assignment === `${generationId}`, `generation ${generationId} got ${assignment}`)
    const key = `${generationId} ${memberId}`
    const before = this.assignmentOf.get(key)
    assert(before === undefined || before === assignment, `${key} got ${before}, then ${assignment}`)
    this.assignmentOf.set(key, assignment)
  }
}

/** A consumer that keeps to the protocol, when it is not silent. */
class Consumer {
  readonly instance: string | null
  identity: Identity | undefined
  isAssigned = false
  isBusy = false
  isRebalancing = true
  memberId = ''
  readonly #world: World

  constructor(world: World, instance: string | null) {
    this.#world = world
    this.instance = instance
  }

  /** The next thing to do; nothing while an answer is missing. */
  act(): void {
    if (this.isBusy) return
    this.isBusy = true
    const acting = this.isRebalancing ? this.#join() : this.isAssigned ? this.#live() : this.#sync()
    acting.then(
      () => (this.isBusy = false),
      (error: unknown) => this.#world.failed(error, this),
    )
  }

  async #join(): Promise<void> {
    const { groups, model } = this.#world
    const { instance, memberId } = this
    const answer = await groups.join({ memberId, instance })
    switch (nameOf(answer)) {
      case 'NONE':
        model.joined(answer, instance)
        this.memberId = answer.memberId
        this.identity = { memberId: answer.memberId, generationId: answer.generationId, instance }
        this.#world.identities.push(this.identity)
        this.leader = answer
        this.isRebalancing = false
        this.isAssigned = false
        break
      case 'MEMBER_ID_REQUIRED':
        this.memberId = answer.memberId
        break
      case 'REBALANCE_IN_PROGRESS':
        break
      default:
        this.forget()
    }
  }

  leader: JoinAnswer | undefined

  async #sync(): Promise<void> {
    const { groups, model } = this.#world
    const joined = this.leader!
    const isLeader = joined.leader === joined.memberId && !joined.skipAssignment
    const text = `${joined.generationId}`
    const assignments = isLeader ? Object.fromEntries(joined.members.map(({ memberId }) => [memberId, text])) : {}
    const answer = await groups.sync(joined, { instance: this.instance, assignments })
    if (nameOf(answer) === 'NONE') {
      model.synced(this.identity!, textOf(answer.assignment))
      this.isAssigned = true
    } else this.#heard(nameOf(answer))
  }

  async #live(): Promise<void> {
    const { groups, random } = this.#world
    if (random.below(2) === 0) await this.#world.commitAs(this.identity!)
    else this.#heard(await groups.heartbeat(this.leader!, { instance: this.instance }))
  }

  #heard(error: string): void {
    if (error === 'NONE') return
    this.isRebalancing = true
    if (error !== 'REBALANCE_IN_PROGRESS') this.forget()
  }

  async leave(): Promise<void> {
    if (this.isBusy || this.memberId === '') return
    const { memberId, instance } = this
    this.isBusy = true
    try {
      const error = await this.#world.groups.leave({ memberId }, { instance })
      if (error === 'NONE') this.#world.model.gone.add(memberId)
    } catch {
      // Nobody heard whether it left: it does not use that id again.
    }
    this.forget()
    this.isBusy = false
  }

  /** It starts anew, as a process that was started again. */
  forget(): void {
    this.memberId = ''
    this.identity = undefined
    this.isRebalancing = true
    this.isAssigned = false
  }
}

class World {
  readonly random: Random
  readonly model = new Model()
  readonly consumers: Consumer[]
  readonly identities: Identity[] = []
  groups!: TestGroups
  #nextOffset = 0n
  #failures: unknown[] = []
  isFailing = false

  constructor(random: Random) {
    this.random = random
    this.consumers = [null, null, null, 'i1', 'i2'].map((instance) => new Consumer(this, instance))
  }

  async open(records = new MemoryCoordinatorStore().records): Promise<void> {
    const store = new MemoryCoordinatorStore(records)
    store.fate = () => (this.isFailing && this.random.below(6) === 0 ? 'STORAGE_FAILED' : 'write')
    const clock = this.groups?.clock
    this.groups = await openTestGroups({ store, seed: this.random.below(1_000_000), ...(clock ? { clock } : {}) })
  }

  failed(error: unknown, consumer: Consumer): void {
    consumer.isBusy = false
    if (error instanceof Error && error.name === 'KafkaError') consumer.forget()
    else this.#failures.push(error)
  }

  async commitAs(identity: Identity): Promise<void> {
    const offset = this.#nextOffset++
    const mayCommit = this.model.mayCommit(identity)
    const error = await this.groups.commit(offset, { member: identity, instance: identity.instance })
    if (error !== 'NONE') return
    assert(mayCommit, `${identity.memberId} of generation ${identity.generationId} committed`)
    assert(offset > this.model.committed)
    this.model.committed = offset
  }

  /** Someone of before tries its luck. */
  async commitOfOld(): Promise<void> {
    const identity = this.identities[this.random.below(Math.max(this.identities.length, 1))]
    if (identity) await this.commitAs(identity)
  }

  /** The process ends between two turns, and another takes over its records. */
  async restart(): Promise<void> {
    await this.groups.clock.settle()
    const { records } = this.groups.store
    this.groups.coordinator.close()
    await this.groups.clock.settle()
    await this.open(records)
    const written = this.#lastWritten()
    this.model.restarted(written, this.identities)
    assert.equal(this.groups.state(), written === undefined ? 'Dead' : written.members.size > 0 ? 'Stable' : 'Empty')
    await this.checkCommitted()
  }

  #lastWritten(): Group | undefined {
    let last: Group | undefined
    for (const record of this.groups.store.all()) {
      const parsed = parseGroupRecord(record)
      if (parsed.kind === 'group') last = parsed.group ?? undefined
    }
    return last
  }

  async checkCommitted(): Promise<void> {
    assert.equal(await this.groups.committed(), this.model.committed)
    if (this.#failures.length > 0) throw this.#failures[0]
  }

  async step(): Promise<void> {
    const { random, groups } = this
    const consumer = this.consumers[random.below(this.consumers.length)]!
    const choice = random.below(100)
    if (choice < 70) consumer.act()
    else if (choice < 74) await consumer.leave()
    else if (choice < 78 && !consumer.isBusy) consumer.forget()
    else if (choice < 84) await this.commitOfOld()
    else if (choice < 86) await this.restart()
    else await groups.clock.advance(random.below(4) === 0 ? random.below(12_000) : random.below(200))
    await groups.clock.advance(0)
  }
}

for (let seed = 1; seed <= 25; seed++) {
  test(`a group keeps its promises whatever its members and its store do (seed ${seed})`, async () => {
    const world = new World(seededRandom(seed))
    await world.open()
    world.isFailing = seed % 3 !== 0
    for (let step = 0; step < 250; step++) {
      await world.step()
      await world.checkCommitted()
    }
    world.isFailing = false
    for (let round = 0; round < 60; round++) {
      for (const consumer of world.consumers) consumer.act()
      await world.groups.clock.advance(3_000)
    }
    await world.checkCommitted()
    assert.equal(world.groups.state(), 'Stable')
    const generations = world.consumers.map(({ identity, isAssigned }) => isAssigned && identity?.generationId)
    assert.deepEqual(new Set(generations), new Set([world.model.generation]), 'all have come to one generation')
  })
}
