/**
 * Clients that produce numbered records, and read them in a group, while brokers come and go under them. Each writes
 * its numbers upwards in every partition, idempotently, and must bring everything through: a record that it gives up
 * fails the test.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ProduceAcks, Producer, stringSerializers } from '@platformatic/kafka'
import { Kafka, logLevel } from 'kafkajs'
import { meetsTool, peerScript, type PeerName } from './peers.ts'

export const partitionCount = 3

/** Where a client works. */
export interface Ride {
  /** The addresses of all brokers. */
  readonly brokers: readonly string[]
  readonly topic: string
  readonly groupId: string
  /** For files of the client. */
  readonly folder: string
  /** Has a client ended when the test ends, while its brokers are still up: without them some never give up. */
  readonly atEnd: (end: () => unknown) => void
}

/** A record that was acknowledged, and where, for clients that tell. */
export interface Acknowledged {
  readonly number: number
  readonly partition?: number
  readonly offset?: number
}

export interface Producing {
  /** Resolves with all that was sent, once all is acknowledged. */
  stop(): Promise<readonly Acknowledged[]>
}

export interface Consuming {
  /** What was read so far, repetitions left out. */
  readonly values: ReadonlySet<string>
  /** Resolves when the member has left its group. */
  stop(): Promise<void>
}

export interface Rider {
  readonly peer: PeerName
  /** It takes too much of the machine to produce and to consume at once. */
  readonly isInTurn?: boolean
  produce(ride: Ride): Producing | Promise<Producing>
  consume(ride: Ride): Consuming | Promise<Consuming>
}

const sendEveryMs = 3
/**
 * As short as brokers let it be. A client that joins anew as another member waits for the session of the one before to
 * end.
 */
const sessionTimeoutMs = 6_000

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}

type OnLine = (line: string) => void

interface Running {
  write(text: string): void
  /**
   * Ends its input, or sends a signal, and waits for the end. Rejects with what it complained of when the status is
   * another.
   */
  end(options?: { readonly signal?: 'SIGTERM'; readonly status?: number }): Promise<void>
}

/** Starts a program that runs until it is told to end, and hands over each line that it prints. */
function run([command, ...args]: readonly [string, ...string[]], ride: Ride, onLine: OnLine): Running {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  ride.atEnd(() => child.kill('SIGKILL'))
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints = (complaints + text).slice(-4_000)))
  child.stdin.on('error', () => {}) // it ended by itself; `end` says so
  createInterface(child.stdout).on('line', onLine)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  ended.catch(() => undefined)
  return {
    write: (text) => void child.stdin.write(text),
    async end({ signal, status = 0 } = {}) {
      const tooLate = setTimeout(() => child.kill('SIGKILL'), 60_000)
      if (signal) child.kill(signal)
      else child.stdin.end()
      const got = await ended.finally(() => clearTimeout(tooLate))
      assert.equal(got, status, `${command} ended with ${got}: ${complaints}`)
    },
  }
}

/** kcat says nothing of single records: it ends well only when all were delivered. */
const kcat: Rider = {
  peer: 'kcat',
  produce(ride) {
    const { brokers, topic } = ride
    const flags = [
      '-P',
      '-E',
      '-t',
      topic,
      '-X',
      'enable.idempotence=true',
      '-X',
      'linger.ms=2',
      '-X',
      'sticky.partitioning.linger.ms=0',
    ]
    const program = run(['kcat', '-b', brokers.join(), ...flags], ride, () => {})
    const sent: Acknowledged[] = []
    const writing = setInterval(() => program.write(`${sent.push({ number: sent.length }) - 1}\n`), sendEveryMs)
    ride.atEnd(() => clearInterval(writing))
    return {
      async stop() {
        clearInterval(writing)
        await program.end()
        return sent
      },
    }
  },
  consume(ride) {
    const { brokers, topic, groupId } = ride
    const values = new Set<string>()
    // Answers behind a long poll are as old as the poll. librdkafka 2.0 knows no leader epochs in metadata: a leader
    // that such an answer names, while the client moves to the new one, leaves the partition with neither.
    const settings = [
      'auto.offset.reset=earliest',
      'auto.commit.interval.ms=200',
      'fetch.wait.max.ms=20',
      `session.timeout.ms=${sessionTimeoutMs}`,
    ]
    const flags = [...settings.flatMap((one) => ['-X', one]), '-E', '-u', '-q', '-f', '%s\\n', '-G', groupId, topic]
    const program = run(['kcat', '-b', brokers.join(), ...flags], ride, (line) => values.add(line))
    return { values, stop: () => program.end({ signal: 'SIGTERM' }) }
  },
}

const librdkafka: Rider = {
  peer: 'confluent-kafka',
  produce(ride) {
    const { brokers, topic } = ride
    const acknowledged: Acknowledged[] = []
    const failed: string[] = []
    const args = ['produce', brokers.join(), topic, `${partitionCount}`]
    const program = run([peerScript('librdkafka-client'), ...args], ride, (line) => {
      const [what, number, partition, offset] = line.split(' ')
      if (what === 'acked')
        acknowledged.push({ number: Number(number), partition: Number(partition), offset: Number(offset) })
      else failed.push(line)
    })
    return {
      async stop() {
        await program.end()
        assert.deepEqual(failed, [])
        return acknowledged
      },
    }
  },
  consume(ride) {
    const { brokers, topic, groupId } = ride
    const values = new Set<string>()
    const args = ['consume', brokers.join(), topic, groupId]
    const program = run([peerScript('librdkafka-client'), ...args], ride, (line) => values.add(line.split(' ')[3]!))
    return { values, stop: () => program.end() }
  },
}

interface VerifiableEvent {
  readonly name: string
  readonly value: string
  readonly partition: number
  readonly offset: number
}

/** Writes settings of a Java client, and returns the path. */
async function propertiesFile(folder: string, settings: Readonly<Record<string, string>>): Promise<string> {
  const path = join(folder, 'client.properties')
  await writeFile(
    path,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
  return path
}

function runVerifiable(args: readonly string[], ride: Ride, onEvent: (event: VerifiableEvent) => void): Running {
  const onLine = (line: string): void => onEvent(JSON.parse(line) as VerifiableEvent)
  const program = run([peerScript('kafka-tool'), ...args], ride, onLine)
  return { ...program, end: () => program.end({ signal: 'SIGTERM', status: 143 }) }
}

const java: Rider = {
  peer: 'kafka-verifiable-producer',
  isInTurn: true,
  async produce(ride) {
    const { brokers, topic, folder } = ride
    await meetsTool('kafka-verifiable-producer')
    const acknowledged: Acknowledged[] = []
    const failed: VerifiableEvent[] = []
    const settings = { 'enable.idempotence': 'true', retries: '2147483647', 'batch.size': '256' }
    const config = await propertiesFile(folder, settings)
    const flags = ['--topic', topic, '--bootstrap-server', brokers.join(), '--acks', '-1', '--throughput', '300']
    const args = ['kafka-verifiable-producer', ...flags, '--command-config', config]
    const program = runVerifiable(args, ride, (event) => {
      const { name, value, partition, offset } = event
      if (name === 'producer_send_success') acknowledged.push({ number: Number(value), partition, offset })
      if (name === 'producer_send_error') failed.push(event)
    })
    return {
      async stop() {
        await program.end()
        assert.deepEqual(failed, [])
        return acknowledged
      },
    }
  },
  async consume(ride) {
    const { brokers, topic, groupId, folder } = ride
    await meetsTool('kafka-verifiable-consumer')
    const values = new Set<string>()
    const config = await propertiesFile(folder, {
      'max.poll.records': '5',
      'fetch.max.bytes': '4096',
      'session.timeout.ms': `${sessionTimeoutMs}`,
    })
    const flags = ['--topic', topic, '--bootstrap-server', brokers.join(), '--group-id', groupId, '--verbose']
    const args = ['kafka-verifiable-consumer', ...flags, '--command-config', config]
    const program = runVerifiable(args, ride, (event) => {
      if (event.name === 'record_data') values.add(event.value)
    })
    return { values, stop: () => program.end() }
  },
}

/** Sends to every partition, one record after the other, until it is told to stop. Resolves with the offset of each. */
function sendInTurn(ride: Ride, send: (partition: number, value: string) => Promise<number>): Producing {
  const acknowledged: Acknowledged[] = []
  let isStopping = false
  ride.atEnd(() => (isStopping = true))
  const write = async (partition: number): Promise<void> => {
    for (let number = partition; !isStopping; number += partitionCount) {
      const offset = await send(partition, `${number}`)
      acknowledged.push({ number, partition, offset })
      await sleep(sendEveryMs)
    }
  }
  const done = Promise.all(Array.from({ length: partitionCount }, (_, partition) => write(partition)))
  done.catch(() => undefined)
  return {
    async stop() {
      isStopping = true
      await done
      return acknowledged
    },
  }
}

function patientKafkajs(brokers: readonly string[]): Kafka {
  return new Kafka({
    clientId: 'rider',
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    retry: { retries: 200, initialRetryTime: 20, maxRetryTime: 200 },
  })
}

const kafkajs: Rider = {
  peer: 'kafkajs',
  async produce(ride) {
    const { brokers, topic } = ride
    const producer = patientKafkajs(brokers).producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    ride.atEnd(() => producer.disconnect())
    const producing = sendInTurn(ride, async (partition, value) => {
      const [result] = await producer.send({ topic, messages: [{ partition, value }] })
      return Number(result!.baseOffset)
    })
    return {
      async stop() {
        try {
          return await producing.stop()
        } finally {
          await producer.disconnect()
        }
      },
    }
  },
  async consume({ brokers, topic, groupId, atEnd }) {
    const values = new Set<string>()
    const times = { sessionTimeout: sessionTimeoutMs, rebalanceTimeout: sessionTimeoutMs }
    const consumer = patientKafkajs(brokers).consumer({
      groupId,
      ...times,
      heartbeatInterval: 500,
      maxWaitTimeInMs: 200,
    })
    await consumer.connect()
    atEnd(() => consumer.disconnect())
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      autoCommitInterval: 200,
      eachMessage: ({ message }) => {
        values.add(message.value!.toString())
        return Promise.resolve()
      },
    })
    return { values, stop: () => consumer.disconnect() }
  },
}

const platformatic: Rider = {
  peer: 'platformatic',
  produce(ride) {
    const { brokers, topic } = ride
    const producer = new Producer({
      clientId: 'rider',
      bootstrapBrokers: [...brokers],
      serializers: stringSerializers,
      idempotent: true,
      retries: 500,
      retryDelay: 20,
    })
    ride.atEnd(() => producer.close(true))
    const producing = sendInTurn(ride, async (partition, value) => {
      const messages = [{ topic, partition, key: '', value }]
      const { offsets } = await producer.send({ messages, acks: ProduceAcks.ALL, idempotent: true })
      return Number(offsets![0]!.offset)
    })
    return {
      async stop() {
        try {
          return await producing.stop()
        } finally {
          await producer.close(true)
        }
      },
    }
  },
  // Its own stream asks the broker that led once, and no other, until it gives up (2.12.1): it can't ride through.
  consume: (ride) => kafkajs.consume(ride),
}

export const riders: readonly Rider[] = [kcat, librdkafka, java, kafkajs, platformatic]
