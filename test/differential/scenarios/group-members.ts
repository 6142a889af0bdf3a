/**
 * Members of classic groups that speak to the broker in one version of JoinGroup, and in those of its time of the
 * others.
 */
import { Heartbeat } from '../../../protocol/apis/heartbeat.ts'
import { JoinGroup } from '../../../protocol/apis/join-group.ts'
import { LeaveGroup } from '../../../protocol/apis/leave-group.ts'
import { SyncGroup } from '../../../protocol/apis/sync-group.ts'
import type { RequestInput, ResponseOf } from '../../../protocol/schema.ts'
import { errorCodes } from '../../../protocol/errors.ts'
import { subscriptionOf } from '../../support/groups.ts'
import type { Peer } from '../peer.ts'

type Joined = ResponseOf<typeof JoinGroup>
type JoinOptions = Partial<RequestInput<typeof JoinGroup>>

export interface MemberOptions {
  /** Of JoinGroup. */
  readonly version?: number
  readonly instance?: string | null
  readonly protocols?: Readonly<Record<string, readonly string[]>>
  readonly protocolType?: string
}

/** The versions that came out with a version of JoinGroup, near enough. */
const syncVersions = [0, 0, 1, 2, 2, 3, 4, 5, 5, 5]
const heartbeatVersions = [0, 0, 1, 2, 2, 3, 4, 4, 4, 4]
const leaveVersions = [0, 0, 1, 2, 2, 3, 4, 4, 5, 5]
const firstVersionWithInstances = 5

export function protocolsOf(protocols: Readonly<Record<string, readonly string[]>>) {
  return Object.entries(protocols).map(([name, topics]) => ({ name, metadata: subscriptionOf(topics) }))
}

export class Member {
  readonly peer: Peer
  readonly groupId: string
  readonly version: number
  readonly #options: MemberOptions
  /** As the broker gave them; what a test sends next. */
  memberId = ''
  generationId = -1

  constructor(peer: Peer, groupId: string, options: MemberOptions = {}) {
    this.peer = peer
    this.groupId = groupId
    this.version = options.version ?? 9
    this.#options = options
  }

  get instance(): string | null {
    return this.version >= firstVersionWithInstances ? (this.#options.instance ?? null) : null
  }

  async join(label: string, options: JoinOptions = {}): Promise<Joined | undefined> {
    const answer = await this.peer.ask(label, JoinGroup, this.version, this.#joinRequest(options))
    return this.#heard(answer)
  }

  /** Joins up to being told the generation, as clients do; only the last answer is compared. */
  async enter(label: string, options: JoinOptions = {}): Promise<Joined | undefined> {
    if (this.memberId === '' && this.version >= 4 && this.instance === null)
      this.#heard(await this.peer.prepare(JoinGroup, this.version, this.#joinRequest(options)))
    return await this.join(label, options)
  }

  /** SyncGroup; the leader gives members their assignments. */
  async sync(label: string, assignments: Readonly<Record<string, string>> = {}, options: SyncOptions = {}) {
    const request = {
      groupId: this.groupId,
      generationId: this.generationId,
      memberId: this.memberId,
      groupInstanceId: this.instance,
      ...(this.version >= 7 && { protocolType: this.#options.protocolType ?? 'consumer', protocolName: 'range' }),
      assignments: Object.entries(assignments).map(([memberId, text]) => ({ memberId, assignment: Buffer.from(text) })),
      ...options,
    }
    return await this.peer.ask(label, SyncGroup, syncVersions[this.version]!, request)
  }

  async heartbeat(label: string, options: Partial<RequestInput<typeof Heartbeat>> = {}): Promise<number | undefined> {
    const { groupId, generationId, memberId, instance: groupInstanceId } = this
    const request = { groupId, generationId, memberId, groupInstanceId, ...options }
    const answer = await this.peer.ask(label, Heartbeat, heartbeatVersions[this.version]!, request)
    return answer?.errorCode
  }

  async leave(label: string, members?: readonly LeavingMember[], groupId = this.groupId) {
    const own = { memberId: this.memberId, groupInstanceId: this.instance }
    const version = leaveVersions[this.version]!
    const request =
      version < 3
        ? { groupId, memberId: members?.[0]?.memberId ?? this.memberId, members: [] }
        : { groupId, memberId: '', members: [...(members ?? [own])] }
    return await this.peer.ask(label, LeaveGroup, version, request)
  }

  /** Waits, unseen, until the group is joining again. */
  async untilRebalance(): Promise<void> {
    const { groupId, generationId, memberId, instance: groupInstanceId } = this
    await this.peer.prepareUntil(Heartbeat, heartbeatVersions[this.version]!, {
      request: { groupId, generationId, memberId, groupInstanceId },
      isGood: ({ errorCode }) => errorCode === errorCodes.REBALANCE_IN_PROGRESS,
    })
  }

  #joinRequest(options: JoinOptions): RequestInput<typeof JoinGroup> {
    const { protocols = { range: ['orders'] }, protocolType = 'consumer' } = this.#options
    return {
      groupId: this.groupId,
      sessionTimeoutMs: 30_000,
      ...(this.version >= 1 && { rebalanceTimeoutMs: 60_000 }),
      memberId: this.memberId,
      groupInstanceId: this.instance,
      protocolType,
      protocols: protocolsOf(protocols),
      ...options,
    }
  }

  #heard(answer: Joined | undefined): Joined | undefined {
    const { errorCode, memberId, generationId } = answer ?? { errorCode: -1, memberId: '', generationId: -1 }
    if (errorCode === errorCodes.NONE || errorCode === errorCodes.MEMBER_ID_REQUIRED) this.memberId = memberId
    if (errorCode === errorCodes.NONE) this.generationId = generationId
    return answer
  }
}

type SyncOptions = Partial<RequestInput<typeof SyncGroup>>
type LeavingMember = RequestInput<typeof LeaveGroup>['members'][number]

/** A stable group of members, each on a connection of its own; the first is the leader, each is assigned its number. */
export async function stableGroup(peer: Peer, groupId: string, options: readonly MemberOptions[]): Promise<Member[]> {
  const members: Member[] = []
  for (const one of options) {
    const member = new Member(peer.beside(), groupId, one)
    const entering = member.enter(`member ${members.length} joins`)
    if (members.length > 0) {
      await members[0]!.untilRebalance()
      await Promise.all(members.map((other, index) => other.join(`member ${index} joins again`)))
    }
    await entering
    members.push(member)
  }
  const assignments = Object.fromEntries(members.map(({ memberId }, index) => [memberId, `assignment ${index}`]))
  await Promise.all(
    members.map((member, index) => member.sync(`member ${index} syncs`, index === 0 ? assignments : {})),
  )
  return members
}
