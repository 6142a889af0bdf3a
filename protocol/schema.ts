/**
 * The schema language: one object declares a message for all versions, and its TypeScript types are inferred from it.
 *
 * Field order, tags, defaults and nullability are those of Kafka's own message definitions; `test/schema-facts.test.ts`
 * compares them. A version range is written as Kafka writes it: `'3'`, `'3-5'`, `'3+'`.
 *
 * How values look in TypeScript:
 *
 *   bool boolean · int8 int16 uint16 int32 uint32 float64 number · int64 bigint · string string
 *   uuid     the 22-character base64url text that Kafka prints, see `Uuid`
 *   bytes    Uint8Array, a view into the frame it was read from: copy what outlives the request
 *   records  a list of chunks, so that a response borrows log bytes without copying; reading yields at most one chunk;
 *            null is null, empty is `[]`
 *   array    a JavaScript array · struct an object
 */

/** A 16-byte id as the unpadded base64url text that Kafka's `Uuid.toString` gives: 22 characters. */
export type Uuid = string
/** The id that stands for "none" on the wire: 16 zero bytes. */
export const zeroUuid: Uuid = 'AAAAAAAAAAAAAAAAAAAAAA'

export interface PrimitiveValues {
  bool: boolean
  int8: number
  int16: number
  uint16: number
  int32: number
  uint32: number
  int64: bigint
  float64: number
  uuid: Uuid
  string: string
  bytes: Uint8Array
  records: readonly Uint8Array[]
}
export type PrimitiveKind = keyof PrimitiveValues

export interface FieldOptions {
  /** The versions that carry the field. Default: all versions of the message. */
  readonly versions?: string
  /** The versions in which the field may be null. */
  readonly nullable?: string
  /**
   * Read where a version lacks the field, and written where the object lacks it. Default: zero, '', [], false, or null
   * where nullable says `default: null`.
   */
  readonly default?: unknown
  /**
   * A value other than the default may be dropped in silence by versions without the field; without this, writing it
   * throws.
   */
  readonly ignorable?: boolean
  /** The tag of a tagged field (KIP-482). Tagged fields may be left out when writing. */
  readonly tag?: number
  /** The versions in which the field is tagged. Default: `versions`. */
  readonly taggedVersions?: string
  /**
   * The field is the key of the map that its array is in Kafka's generated classes (`mapKey`). A fact for checks only.
   */
  readonly mapKey?: boolean
}

declare const readType: unique symbol
declare const writeType: unique symbol
declare const optionalWrite: unique symbol

/** One field of a message. The type parameters exist only for inference. */
export interface Field<Read = unknown, Write = unknown, Optional extends boolean = boolean> {
  readonly kind: PrimitiveKind | 'array' | 'struct'
  readonly doc: string
  readonly options: FieldOptions
  /** Arrays: the kind of a primitive element. */
  readonly element?: PrimitiveKind
  /** Structs, and arrays of structs: the fields, in wire order. */
  readonly fields?: Fields
  readonly [readType]?: Read
  readonly [writeType]?: Write
  readonly [optionalWrite]?: Optional
}
export type Fields = Readonly<Record<string, Field>>

type Nullable<O, T> = O extends { nullable: string } ? T | null : T
type IsOptional<O> = O extends { default: unknown } ? true : O extends { tag: number } ? true : false
type ReadValue<F> = F extends Field<infer Read, unknown, boolean> ? Read : never
type WriteValue<F> = F extends Field<unknown, infer Write, boolean> ? Write : never
type OptionalKeys<F extends Fields> = {
  [K in keyof F]: F[K] extends Field<unknown, unknown, infer Optional> ? (true extends Optional ? K : never) : never
}[keyof F]

/** What a decoder yields: every field is there, with its default where the version lacks it. */
export type ReadOf<F extends Fields> = { -readonly [K in keyof F]: ReadValue<F[K]> }
/** What an encoder takes: fields with a default, and tagged ones, may be left out. */
export type WriteOf<F extends Fields> = { readonly [K in Exclude<keyof F, OptionalKeys<F>>]: WriteValue<F[K]> } & {
  readonly [K in OptionalKeys<F>]?: WriteValue<F[K]> | undefined
}

type Primitive<K extends PrimitiveKind, O> = Field<
  Nullable<O, PrimitiveValues[K]>,
  Nullable<O, PrimitiveValues[K]>,
  IsOptional<O>
>

function primitive<K extends PrimitiveKind>(kind: K) {
  return <const O extends FieldOptions = Record<never, never>>(doc: string, options?: O): Primitive<K, O> => ({
    kind,
    doc,
    options: options ?? {},
  })
}

export const bool = primitive('bool')
export const int8 = primitive('int8')
export const int16 = primitive('int16')
export const uint16 = primitive('uint16')
export const int32 = primitive('int32')
export const uint32 = primitive('uint32')
export const int64 = primitive('int64')
export const float64 = primitive('float64')
export const uuid = primitive('uuid')
export const string = primitive('string')
export const bytes = primitive('bytes')
export const records = primitive('records')

type Element = PrimitiveKind | Fields
type ReadElement<E> = E extends PrimitiveKind ? PrimitiveValues[E] : E extends Fields ? ReadOf<E> : never
type WriteElement<E> = E extends PrimitiveKind ? PrimitiveValues[E] : E extends Fields ? WriteOf<E> : never

/** A list of primitives (`array('…', 'int32')`) or of structs (`array('…', { name: string('…') })`). */
export function array<const E extends Element, const O extends FieldOptions = Record<never, never>>(
  doc: string,
  element: E,
  options?: O,
): Field<Nullable<O, ReadElement<E>[]>, Nullable<O, readonly WriteElement<E>[]>, IsOptional<O>> {
  const shape = typeof element === 'string' ? { element: element as PrimitiveKind } : { fields: element as Fields }
  return { kind: 'array', doc, options: options ?? {}, ...shape }
}

/** A struct in place. */
export function struct<const F extends Fields, const O extends FieldOptions = Record<never, never>>(
  doc: string,
  fields: F,
  options?: O,
): Field<Nullable<O, ReadOf<F>>, Nullable<O, WriteOf<F>>, IsOptional<O>> {
  return { kind: 'struct', doc, options: options ?? {}, fields }
}

/** A Kafka API: its request and response for all declared versions. */
export interface Api<Request extends Fields = Fields, Response extends Fields = Fields> {
  readonly name: string
  readonly key: number
  /** The declared versions, for example `'4-18'`. What the broker serves is said by the handler. */
  readonly versions: string
  /** The first version range with compact types and tagged fields, or 'none'. */
  readonly flexible: string
  readonly request: Request
  readonly response: Response
}

/** Declares an API. The identity function: it exists so that types are inferred and declarations look alike. */
export function defineApi<const Request extends Fields, const Response extends Fields>(
  api: Api<Request, Response>,
): Api<Request, Response> {
  return api
}

/** A record that Kafka persists (metadata, groups, transactions), or any other message outside request and response. */
export interface RecordType<F extends Fields = Fields> {
  readonly name: string
  /** The key by which the record is framed in its log, or -1 for messages that are not framed by a key. */
  readonly key: number
  readonly versions: string
  readonly flexible: string
  readonly fields: F
}

/** Declares a persisted record; the counterpart of `defineApi`. */
export function defineRecord<const F extends Fields>(record: RecordType<F>): RecordType<F> {
  return record
}

export type RequestOf<A> = A extends Api<infer Request, Fields> ? ReadOf<Request> : never
export type ResponseOf<A> = A extends Api<Fields, infer Response> ? ReadOf<Response> : never
export type RequestInput<A> = A extends Api<infer Request, Fields> ? WriteOf<Request> : never
export type ResponseInput<A> = A extends Api<Fields, infer Response> ? WriteOf<Response> : never
export type RecordOf<R> = R extends RecordType<infer F> ? ReadOf<F> : never
export type RecordInput<R> = R extends RecordType<infer F> ? WriteOf<F> : never
