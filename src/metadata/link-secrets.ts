/**
 * Secret configs of links, sealed with AES-256-GCM. The key is in a file of its own in the data directory, which only
 * its owner may read: whoever gets the metadata log, a snapshot or a dump of them, gets no secret.
 *
 *   key file   64 hexadecimal digits and a line feed
 *   sealed     nonce (12 bytes), ciphertext, tag (16 bytes)
 *
 * Link id and config name are authenticated with it: a sealed secret that was moved to another place does not open.
 */
import { Buffer } from 'node:buffer'
import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { Uuid } from '../../protocol/schema.ts'
import { DiskError } from '../../storage/disk.ts'
import type { Environment } from '../environment/environment.ts'
import { MetadataError } from './metadata-error.ts'

export const secretKeyPath = 'link-secrets.key'

const algorithm = 'aes-256-gcm'
const keyBytes = 32
const nonceBytes = 12
const tagBytes = 16

/** Which secret it is. */
export interface SecretName {
  readonly linkId: Uuid
  readonly name: string
}

export type OpenedSecret =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly message: string }

export class LinkSecrets {
  readonly #environment: Pick<Environment, 'disk' | 'random'>
  #key: Promise<Uint8Array | undefined> | undefined
  #creating: Promise<Uint8Array> | undefined

  constructor(environment: Pick<Environment, 'disk' | 'random'>) {
    this.#environment = environment
  }

  /**
   * The bytes for a SealedSecret record. The first one makes the key file, which is durable when this resolves.
   *
   * @throws DiskError; MetadataError CORRUPT where the key file holds no key: it is never replaced.
   */
  async seal(secret: SecretName, text: string): Promise<Uint8Array> {
    const key = (await this.#load()) ?? (await this.#create())
    const nonce = this.#environment.random.bytes(nonceBytes)
    const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes })
    cipher.setAAD(nameOf(secret))
    return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  }

  /** The text of a sealed secret, or why it does not open. @throws DiskError; MetadataError CORRUPT as `seal`. */
  async open(secret: SecretName, sealed: Uint8Array): Promise<OpenedSecret> {
    const key = await this.#load()
    if (!key) return refused(secret, `the key file ${secretKeyPath} is missing`)
    if (sealed.length < nonceBytes + tagBytes) return refused(secret, `it has only ${sealed.length} bytes`)
    const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes })
    decipher.setAAD(nameOf(secret))
    decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes))
    const head = decipher.update(sealed.subarray(nonceBytes, sealed.length - tagBytes))
    try {
      return { ok: true, text: Buffer.concat([head, decipher.final()]).toString('utf8') }
    } catch {
      return refused(secret, `it was sealed with another key than that in ${secretKeyPath}, or changed`)
    }
  }

  /** Undefined while there is no key file. */
  #load(): Promise<Uint8Array | undefined> {
    this.#key ??= this.#read()
    return this.#key
  }

  async #read(): Promise<Uint8Array | undefined> {
    const { disk } = this.#environment
    try {
      const text = Buffer.from(await disk.readFile(secretKeyPath)).toString('latin1')
      if (/^[0-9a-f]{64}\n$/.test(text)) return Buffer.from(text.trim(), 'hex')
    } catch (error) {
      this.#key = undefined
      if (error instanceof DiskError && error.code === 'NOT_FOUND') return undefined
      throw error
    }
    this.#key = undefined
    throw new MetadataError('CORRUPT', `${disk.root}/${secretKeyPath} holds no key: restore it from a copy`)
  }

  /** One of several that come at the same time makes the key. */
  #create(): Promise<Uint8Array> {
    const { disk, random } = this.#environment
    this.#creating ??= (async () => {
      const key = random.bytes(keyBytes)
      const text = `${Buffer.from(key).toString('hex')}\n`
      await disk.replaceFile(secretKeyPath, Buffer.from(text, 'latin1'), { isPrivate: true })
      this.#key = Promise.resolve(key)
      return key
    })().finally(() => {
      this.#creating = undefined
    })
    return this.#creating
  }
}

function nameOf({ linkId, name }: SecretName): Uint8Array {
  return Buffer.from(`${linkId}/${name}`, 'utf8')
}

function refused({ name }: SecretName, why: string): OpenedSecret {
  return { ok: false, message: `the secret config ${name} can't be opened: ${why}` }
}
