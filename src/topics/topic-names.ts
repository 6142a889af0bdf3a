/** Which names a topic may have. */
import { KafkaError } from '../errors.ts'

const nameMaxLength = 249
const legalName = /^[a-zA-Z0-9._-]+$/

/** What is wrong with a topic name, or undefined. */
export function findNameError(name: string): string | undefined {
  if (name === '') return 'Topic name is invalid: the empty string is not allowed'
  if (name === '.' || name === '..') return `Topic name is invalid: '${name}' is not allowed`
  if (name.length > nameMaxLength)
    return `Topic name is invalid: '${name}' has ${name.length} characters, at most ${nameMaxLength} are allowed`
  if (!legalName.test(name))
    return `Topic name is invalid: '${name}' has other characters than ASCII letters and digits, '.', '_' and '-'`
  return undefined
}

/**
 * Kafka's metrics write '.' as '_', so that two names which differ in nothing else may not exist side by side.
 * @throws KafkaError INVALID_TOPIC_EXCEPTION
 */
export function checkNewName(name: string, existing: Iterable<string>): void {
  const wrong = findNameError(name)
  if (wrong !== undefined) throw new KafkaError('INVALID_TOPIC_EXCEPTION', wrong)
  if (!name.includes('.') && !name.includes('_')) return
  const collisionKey = collisionKeyOf(name)
  for (const other of existing) {
    if (other !== name && collisionKeyOf(other) === collisionKey)
      throw new KafkaError('INVALID_TOPIC_EXCEPTION', `Topic '${name}' collides with existing topic: ${other}`)
  }
}

function collisionKeyOf(name: string): string {
  return name.replaceAll('.', '_')
}
