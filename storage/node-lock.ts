/**
 * One process per data directory. Node has no flock, so the live proof is a unix socket bound in the directory:
 * connecting to it succeeds while its owner lives, in any container that shares the directory, and is refused after the
 * owner died.
 *
 * Claims carry a generation, `.lock.<n>`. A dead claim is never removed to be taken again (two starters could remove
 * each other's); the next starter claims n + 1, which only one can. After claiming, it looks again: a later claim, or
 * an earlier one that turned out to be alive, means that it retreats. Where no socket can be bound (path too long, file
 * system without sockets), a claim is a file that names its process: pid, its start time, boot id and pid namespace.
 */
import * as fs from 'node:fs/promises'
import * as net from 'node:net'
import * as path from 'node:path'
import { DiskError, type DiskLock } from './disk.ts'

/** Longest path that every supported system binds a socket to, in bytes. */
const maxSocketPathBytes = 100
const maxAttempts = 20

interface Claim {
  readonly generation: number
  readonly name: string
}

export async function lockDirectory(directory: string): Promise<DiskLock> {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const claims = await listClaims(directory)
    for (const claim of claims) await refuseIfAlive(directory, claim)
    const generation = (claims.at(-1)?.generation ?? 0) + 1
    const held = await claimGeneration(directory, generation)
    if (!held) continue
    const now = await listClaims(directory)
    const rivals: boolean[] = []
    for (const claim of now) {
      if (claim.generation > generation) rivals.push(true)
      if (claim.generation < generation) rivals.push((await holderOf(directory, claim)) !== undefined)
    }
    if (rivals.includes(true)) {
      await held.release()
      continue
    }
    for (const claim of now) if (claim.generation < generation) await removeClaim(directory, claim)
    return held
  }
  throw new DiskError('LOCKED', '', `${directory} is being taken by another process`)
}

async function refuseIfAlive(directory: string, claim: Claim): Promise<void> {
  const holder = await holderOf(directory, claim)
  if (holder !== undefined) throw new DiskError('LOCKED', claim.name, `${directory} is in use by ${holder}`)
}

async function listClaims(directory: string): Promise<Claim[]> {
  const claims: Claim[] = []
  for (const name of await fs.readdir(directory)) {
    const match = /^\.lock\.(\d+)(\.sock)?$/.exec(name)
    if (match) claims.push({ generation: Number(match[1]), name })
  }
  return claims.sort((a, b) => a.generation - b.generation)
}

async function removeClaim(directory: string, claim: Claim): Promise<void> {
  await fs.rm(path.join(directory, claim.name), { force: true })
}

async function claimGeneration(directory: string, generation: number): Promise<DiskLock | undefined> {
  const socketPath = path.join(directory, `.lock.${generation}.sock`)
  if (Buffer.byteLength(socketPath) <= maxSocketPathBytes) {
    const bound = await bindSocket(socketPath)
    if (bound !== 'UNSUPPORTED') return bound
  }
  return claimFile(directory, generation)
}

/** Undefined when another process has this claim, or had it. */
function bindSocket(socketPath: string): Promise<DiskLock | undefined | 'UNSUPPORTED'> {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => socket.destroy())
      socket.end(`process ${process.pid}`)
    })
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'EADDRINUSE' ? undefined : 'UNSUPPORTED')
    })
    server.listen(socketPath, () => {
      server.unref()
      // Closing the server also removes its socket.
      resolve({ release: () => new Promise((done) => server.close(() => done())) })
    })
  })
}

async function claimFile(directory: string, generation: number): Promise<DiskLock | undefined> {
  const target = path.join(directory, `.lock.${generation}`)
  const aside = path.join(directory, `.claim.${process.pid}.${generation}`)
  await fs.writeFile(aside, JSON.stringify(await describeProcess(process.pid)))
  try {
    await fs.link(aside, target) // appears with its content, and only if it was not there
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined
    throw new DiskError('DENIED', '', `could not lock ${directory}`, { cause: error })
  } finally {
    await fs.rm(aside, { force: true })
  }
  return { release: () => fs.rm(target, { force: true }) }
}

/** Who holds a claim, in words, or undefined when nobody does any more. */
function holderOf(directory: string, claim: Claim): Promise<string | undefined> {
  const name = path.join(directory, claim.name)
  return claim.name.endsWith('.sock') ? askSocket(name) : askFile(name)
}

function askSocket(socketPath: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath)
    let answer = ''
    let isConnected = false
    socket.setEncoding('utf8')
    socket.on('connect', () => {
      isConnected = true
    })
    socket.on('data', (text: string) => {
      answer += text
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(isConnected ? answer || 'another process' : undefined))
    // The holder answers from its event loop: one that is busy or stopped still holds the directory.
    socket.setTimeout(1000, () => {
      socket.destroy()
    })
  })
}

interface ProcessDescription {
  readonly pid: number
  readonly startTime: string
  readonly bootId: string
  readonly pidNamespace: string
}

async function askFile(name: string): Promise<string | undefined> {
  let recorded: ProcessDescription
  try {
    recorded = JSON.parse(await fs.readFile(name, 'utf8')) as ProcessDescription
  } catch {
    return undefined
  }
  const self = await describeProcess(process.pid)
  if (recorded.bootId !== self.bootId) return undefined
  if (recorded.pidNamespace !== self.pidNamespace) {
    return `process ${recorded.pid} of another container (remove ${name} if that one is gone)`
  }
  const current = await describeProcess(recorded.pid)
  return current.startTime !== '' && current.startTime === recorded.startTime ? `process ${recorded.pid}` : undefined
}

async function describeProcess(pid: number): Promise<ProcessDescription> {
  const read = (file: string) => fs.readFile(file, 'utf8').catch(() => '')
  const stat = await read(`/proc/${pid}/stat`)
  // The start time is field 22, counted behind the command name, which stands in parentheses and may contain anything.
  const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  return {
    pid,
    startTime,
    bootId: (await read('/proc/sys/kernel/random/boot_id')).trim(),
    pidNamespace: await fs.readlink('/proc/self/ns/pid').catch(() => ''),
  }
}
