/**
 * What a broker is started with. Flags win over `TITORELLI_` variables, those over `KAFKA_` variables, those over the
 * properties file; each setting on its own. Pure: the environment and the text of the file are handed in.
 */
import { logLevels, type LogLevel } from '../environment/logger.ts'
import { brokerConfigOf, defaultBrokerConfig, type BrokerConfig, type ConfigError } from './broker-config.ts'
import { brokerConfigRow } from './broker-configs.ts'
import { configOfKafkaVariable, configOfOwnVariable } from './environment-variables.ts'
import { chooseListener, isWildcard, parseAddress, parsePort, type Address, type ChosenListener } from './listeners.ts'
import { parseProperties } from './properties.ts'

/** The flags of `titorelli start` as they were typed; undefined where they were not. */
export interface StartFlags {
  readonly host?: string | undefined
  readonly port?: string | undefined
  readonly brokers?: string | undefined
  readonly advertised?: string | undefined
  readonly httpPort?: string | undefined
  /** False for `--no-http`. */
  readonly http?: boolean | undefined
  readonly dataDir?: string | undefined
  readonly memory?: boolean | undefined
  readonly clusterId?: string | undefined
  readonly durable?: boolean | undefined
  /** Each `KEY=VALUE`. */
  readonly config?: readonly string[] | undefined
  readonly configFile?: string | undefined
  readonly readyFile?: string | undefined
  readonly logLevel?: string | undefined
}

export type EnvironmentVariables = Readonly<Record<string, string | undefined>>

export interface StartInput {
  readonly flags: StartFlags
  readonly env: EnvironmentVariables
  /** The content of the file that `configFileOf` names. */
  readonly file?: { readonly path: string; readonly text: string } | undefined
}

export interface StartOptions {
  readonly host: string
  /** 0 picks a free port. */
  readonly port: number
  /** How many brokers the process shows. */
  readonly brokerCount: number
  /** What clients are told; port 0 stands for the port that was picked. Undefined: what the broker listens on. */
  readonly advertised: Address | undefined
  readonly httpPort: number | 'off'
  readonly memory: boolean
  /** Meaningless with `memory`. */
  readonly dataDir: string
  readonly clusterId: string | undefined
  readonly durable: boolean
  readonly brokerConfig: BrokerConfig
  readonly readyFile: string | undefined
  readonly logLevel: LogLevel
  /** Lines to print at the start: what was given and has no effect. */
  readonly summary: readonly string[]
}

export type StartResult =
  | { readonly ok: true; readonly options: StartOptions }
  | { readonly ok: false; readonly errors: readonly ConfigError[] }

/** A value and where it came from. The higher rank wins. */
interface Setting {
  readonly value: string
  readonly source: string
  readonly rank: number
}
const ranks = { default: -1, file: 0, kafkaVariable: 1, ownVariable: 2, flag: 3 }

const defaults = { host: '127.0.0.1', port: 9092, httpPort: 8090, dataDir: './data' }

/** What `--brokers` may ask for: more listeners than any test of a client needs. */
const maxBrokers = 100

/** The variables that stand for a flag. */
const variableOfFlag = {
  host: 'TITORELLI_HOST',
  port: 'TITORELLI_PORT',
  brokers: 'TITORELLI_BROKERS',
  advertised: 'TITORELLI_ADVERTISED',
  httpPort: 'TITORELLI_HTTP_PORT',
  noHttp: 'TITORELLI_NO_HTTP',
  dataDir: 'TITORELLI_DATA_DIR',
  memory: 'TITORELLI_MEMORY',
  clusterId: 'TITORELLI_CLUSTER_ID',
  durable: 'TITORELLI_DURABLE',
  configFile: 'TITORELLI_CONFIG_FILE',
  readyFile: 'TITORELLI_READY_FILE',
  logLevel: 'TITORELLI_LOG_LEVEL',
} as const
type FlagName = keyof typeof variableOfFlag
const flagVariables: ReadonlySet<string> = new Set(Object.values(variableOfFlag))

/** The properties file to read before `startOptionsOf`, if any. */
export function configFileOf(flags: StartFlags, env: EnvironmentVariables): string | undefined {
  return flags.configFile ?? (env[variableOfFlag.configFile] || undefined)
}

/** Puts all sources together, or says what is wrong, all of it at once. */
export function startOptionsOf(input: StartInput): StartResult {
  const errors: ConfigError[] = []
  const configs = collectConfigs(input, errors)
  const broker = brokerConfigOf(new Map([...configs].map(([name, { value }]) => [name, value])))
  for (const error of broker.ok ? [] : broker.errors) errors.push(withSource(error, configs.get(error.key)))
  // With the defaults in place of what is wrong, everything else is looked at too.
  const brokerConfig = broker.ok ? broker.config : defaultBrokerConfig()
  const settings = new StartSettings(input, errors)
  const { host, port, advertised, notOpened } = addressesOf(settings, brokerConfig, configs)
  const options: StartOptions = {
    host,
    port,
    brokerCount: settings.brokerCount(),
    advertised,
    httpPort: settings.boolean('noHttp') ? 'off' : settings.port('httpPort', defaults.httpPort),
    memory: settings.boolean('memory') ?? false,
    dataDir: dataDirOf(settings, configs),
    clusterId: settings.clusterId(),
    durable: brokerConfig.durable,
    brokerConfig,
    readyFile: settings.find('readyFile')?.value,
    logLevel: settings.logLevel(),
    summary: summaryOf(configs, notOpened),
  }
  return errors.length > 0 ? { ok: false, errors } : { ok: true, options }
}

function withSource(error: ConfigError, setting: Setting | undefined): ConfigError {
  return setting && !error.source ? { ...error, source: setting.source } : error
}

/** Every config of all sources, by name, the strongest source of each. */
function collectConfigs(input: StartInput, errors: ConfigError[]): Map<string, Setting> {
  const { flags, env, file } = input
  const configs = new Map<string, Setting>()
  const set = (name: string, setting: Setting): void => {
    const before = configs.get(name)
    if (!before || before.rank <= setting.rank) configs.set(name, setting)
  }
  if (file) {
    for (const [name, value] of parseProperties(file.text)) set(name, { value, source: file.path, rank: ranks.file })
  }
  for (const [variable, value] of Object.entries(env)) {
    if (value === undefined) continue
    const kafkaName = configOfKafkaVariable(variable)
    if (kafkaName !== undefined && brokerConfigRow(kafkaName))
      set(kafkaName, { value, source: variable, rank: ranks.kafkaVariable })
    const ownName = flagVariables.has(variable) || value === '' ? undefined : configOfOwnVariable(variable)
    if (ownName !== undefined) set(ownName, { value, source: variable, rank: ranks.ownVariable })
  }
  for (const text of flags.config ?? []) {
    const at = text.indexOf('=')
    const name = text.slice(0, at).trim()
    if (at <= 0) errors.push({ key: '--config', value: text, expected: 'KEY=VALUE' })
    else if (!brokerConfigRow(name))
      errors.push({ key: name, value: text.slice(at + 1), expected: 'the name of a broker config', source: '--config' })
    else set(name, { value: text.slice(at + 1), source: '--config', rank: ranks.flag })
  }
  const durable = new StartSettings(input, errors).durable()
  if (durable) set('titorelli.durable', durable)
  // A cluster that keeps its data is as strict as Kafka; one in memory stands in for a larger one.
  const isInMemory = new StartSettings(input, []).boolean('memory') // what is wrong with it is said elsewhere
  if (!isInMemory)
    set('titorelli.relaxed.replication.factor', { value: 'false', source: 'a data directory', rank: ranks.default })
  return configs
}

/** The settings that have a flag of their own. */
class StartSettings {
  readonly #flags: StartFlags
  readonly #env: EnvironmentVariables
  readonly #errors: ConfigError[]

  constructor({ flags, env }: StartInput, errors: ConfigError[]) {
    this.#flags = flags
    this.#env = env
    this.#errors = errors
  }

  find(name: FlagName): Setting | undefined {
    const flag = name === 'noHttp' ? this.#noHttpFlag() : this.#flags[name]
    if (flag !== undefined) return { value: String(flag), source: flagOf(name), rank: ranks.flag }
    const variable = variableOfFlag[name]
    const value = this.#env[variable]
    return value === undefined || value === '' ? undefined : { value, source: variable, rank: ranks.ownVariable }
  }

  #noHttpFlag(): boolean | undefined {
    if (this.#flags.http === false) return true
    // A port that is asked for by flag turns HTTP on, whatever the environment says.
    return this.#flags.httpPort === undefined ? undefined : false
  }

  boolean(name: 'noHttp' | 'memory' | 'durable'): boolean | undefined {
    const setting = this.find(name)
    if (!setting) return undefined
    if (/^(true|1)$/i.test(setting.value.trim())) return true
    if (!/^(false|0)$/i.test(setting.value.trim())) this.wrong(name, setting, 'true or false')
    return false
  }

  /** `--durable` as the config that it stands for. */
  durable(): Setting | undefined {
    const value = this.boolean('durable')
    return value === undefined ? undefined : { ...this.find('durable')!, value: String(value) }
  }

  port(name: 'port' | 'httpPort', fallback: number): number {
    const setting = this.find(name)
    if (!setting) return fallback
    const port = parsePort(setting.value)
    if (port === undefined) this.wrong(name, setting, 'a port: a number from 0 (any free one) to 65535')
    return port ?? fallback
  }

  brokerCount(): number {
    const setting = this.find('brokers')
    if (!setting) return 1
    const count = /^\d{1,3}$/.test(setting.value.trim()) ? Number(setting.value) : 0
    if (count >= 1 && count <= maxBrokers) return count
    this.wrong('brokers', setting, `a number of brokers from 1 to ${maxBrokers}`)
    return 1
  }

  advertised(): Address | undefined {
    const setting = this.find('advertised')
    if (!setting) return undefined
    const address = parseAddress(setting.value)
    if (!address) this.wrong('advertised', setting, 'HOST:PORT, for example broker.example:9092')
    return address
  }

  clusterId(): string | undefined {
    const setting = this.find('clusterId')
    if (!setting) return undefined
    if (!/^[A-Za-z0-9._-]{1,100}$/.test(setting.value))
      this.wrong('clusterId', setting, "1 to 100 letters, digits, '.', '_' or '-'")
    return setting.value
  }

  logLevel(): LogLevel {
    const setting = this.find('logLevel')
    if (!setting) return 'info'
    const level = logLevels.find((known) => known === setting.value.toLowerCase())
    if (!level) this.wrong('logLevel', setting, `one of ${logLevels.join(', ')}`)
    return level ?? 'info'
  }

  wrong(name: FlagName, setting: Setting, expected: string): void {
    this.#errors.push({ key: flagOf(name), value: setting.value, expected, source: setting.source })
  }

  report(error: ConfigError): void {
    this.#errors.push(error)
  }
}

/** `httpPort` is `--http-port`. */
function flagOf(name: FlagName): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

interface Addresses {
  readonly host: string
  readonly port: number
  readonly advertised: Address | undefined
  readonly notOpened: readonly string[]
}

/** Where to listen and what to advertise, from the flags and from Kafka's lists of listeners. */
function addressesOf(settings: StartSettings, config: BrokerConfig, configs: ReadonlyMap<string, Setting>): Addresses {
  const nothing: Addresses = { ...defaults, advertised: undefined, notOpened: [] }
  const chosen = chooseListener({
    listeners: config.listeners,
    advertisedListeners: config.advertisedListeners ?? [],
    protocolMap: config.listenerSecurityProtocolMap,
    controllerListenerNames: config.controllerListenerNames ?? [],
  })
  if (!chosen.ok) {
    const setting = configs.get(chosen.key)
    const { key, expected } = chosen
    settings.report(withSource({ key, value: setting?.value ?? config.listeners.join(','), expected }, setting))
    return nothing
  }
  const host = hostOf(settings, chosen.listener.host, configs)
  const listenersRank = configs.get('listeners')?.rank ?? ranks.default
  const portSetting = settings.find('port')
  const port =
    portSetting && portSetting.rank >= listenersRank ? settings.port('port', defaults.port) : chosen.listener.port
  const advertised = advertisedOf(settings, chosen, configs)
  if (isWildcard(host.value) && !advertised)
    settings.report({
      key: host.key,
      value: host.shown,
      expected:
        'an address that clients can connect to, or --advertised HOST:PORT (advertised.listeners) beside the wildcard',
      ...(host.source === undefined ? {} : { source: host.source }),
    })
  return { host: host.value === '' ? '::' : host.value, port, advertised, notOpened: chosen.notOpened }
}

interface Host {
  readonly value: string
  readonly key: string
  readonly shown: string
  readonly source: string | undefined
}

function hostOf(settings: StartSettings, listenerHost: string, configs: ReadonlyMap<string, Setting>): Host {
  const setting = settings.find('host')
  const listeners = configs.get('listeners')
  if (setting && setting.rank >= (listeners?.rank ?? ranks.default)) {
    const value = setting.value.trim().replace(/^\[(.*)\]$/, '$1')
    if (/[\s/]/.test(value)) settings.wrong('host', setting, 'a host name or an address')
    return { value, key: '--host', shown: setting.value, source: setting.source }
  }
  return { value: listenerHost, key: 'listeners', shown: listeners?.value ?? '', source: listeners?.source }
}

function advertisedOf(
  settings: StartSettings,
  chosen: Extract<ChosenListener, { ok: true }>,
  configs: ReadonlyMap<string, Setting>,
): Address | undefined {
  const setting = settings.find('advertised')
  const listed = configs.get('advertised.listeners')
  if (setting && setting.rank >= (listed?.rank ?? ranks.default)) {
    const address = settings.advertised()
    if (address && isWildcard(address.host)) settings.wrong('advertised', setting, routable)
    return address
  }
  if (!listed || listed.value.trim() === '') return undefined
  const { advertised } = chosen
  const error = { key: 'advertised.listeners', value: listed.value, source: listed.source }
  if (!advertised) settings.report({ ...error, expected: `an entry for listener ${chosen.listener.name}` })
  else if (isWildcard(advertised.host)) settings.report({ ...error, expected: routable })
  return advertised && { host: advertised.host, port: advertised.port }
}

const routable = 'an address that clients can connect to, not a wildcard'

function dataDirOf(settings: StartSettings, configs: ReadonlyMap<string, Setting>): string {
  const kafka = configs.get('log.dirs') ?? configs.get('log.dir')
  const own = settings.find('dataDir')
  if (own && own.rank >= (kafka?.rank ?? ranks.default)) return own.value
  return kafka?.value.split(',')[0]?.trim() || own?.value || defaults.dataDir
}

/** What was given and does nothing, so that nobody believes it does. */
function summaryOf(configs: ReadonlyMap<string, Setting>, notOpened: readonly string[]): string[] {
  const names = [...configs.keys()].sort()
  const idle = names.filter((name) => brokerConfigRow(name) && !brokerConfigRow(name)!.acts)
  const unknown = names.filter((name) => !brokerConfigRow(name))
  const lines: string[] = []
  if (idle.length > 0) lines.push(`without effect here (${idle.length}): ${idle.join(', ')}`)
  if (unknown.length > 0)
    lines.push(`not known (${unknown.length}): ${unknown.map((name) => shownUnknown(name, configs)).join(', ')}`)
  if (notOpened.length > 0) lines.push(`listeners that are not opened (${notOpened.length}): ${notOpened.join(', ')}`)
  const dirs = configs.get('log.dirs')?.value.split(',') ?? []
  if (dirs.length > 1) lines.push(`log.dirs: only the first of ${dirs.length} directories is used`)
  return lines
}

/** A variable is shown by its own name. */
function shownUnknown(name: string, configs: ReadonlyMap<string, Setting>): string {
  const { rank, source } = configs.get(name)!
  return rank === ranks.ownVariable ? source : name
}
