/**
 * Says in the log what became of topics, links and mirrors, whoever asked for it: what an operator wants to have read
 * when he looks at a broker at night. Of configs it says the names only, because their values may be secrets.
 */
import type { Logger } from '../environment/environment.ts'
import type { LinkImage, MetadataImage, MetadataStore, TopicImage } from './metadata-store.ts'

/** Writes a line for each change from now on, until it is disposed of. */
export function logChanges(metadata: MetadataStore, logger: Logger): Disposable {
  return metadata.onImage((image, previous) => {
    if (image.links !== previous.links) logLinks(image, previous, logger)
    if (image.topics !== previous.topics) logTopics(image, previous, logger)
  })
}

function logTopics(image: MetadataImage, previous: MetadataImage, logger: Logger): void {
  for (const before of previous.topicsById.values()) {
    if (!image.topicsById.has(before.topicId)) logger.info({ topic: before.name }, 'topic deleted')
  }
  for (const topic of image.topicsById.values()) {
    const before = previous.topicsById.get(topic.topicId)
    if (before === topic) continue
    if (before) logTopicChange(topic, before, logger)
    else logNewTopic(topic, image, logger)
  }
}

function logNewTopic({ name: topic, partitions, mirror }: TopicImage, image: MetadataImage, logger: Logger): void {
  if (!mirror) return logger.info({ topic, partitions: partitions.length }, 'topic created')
  const { linkId, sourceTopicName: sourceTopic } = mirror
  const link = image.linksById.get(linkId)?.name
  logger.info({ topic, partitions: partitions.length, link, sourceTopic }, 'mirror topic created')
}

function logTopicChange(topic: TopicImage, before: TopicImage, logger: Logger): void {
  const { name, partitions, mirror } = topic
  if (partitions.length !== before.partitions.length)
    logger.info({ topic: name, partitions: partitions.length }, 'partitions added to a topic')
  const configs = changedNames(topic.configs, before.configs)
  if (configs.length > 0) logger.info({ topic: name, configs }, 'configs of a topic changed')
  if (mirror && mirror.state !== before.mirror?.state)
    logger.info({ topic: name, state: mirror.state }, 'state of a mirror changed')
}

function logLinks(image: MetadataImage, previous: MetadataImage, logger: Logger): void {
  for (const { linkId, name: link } of previous.linksById.values()) {
    if (!image.linksById.has(linkId)) logger.info({ link }, 'link deleted')
  }
  for (const link of image.linksById.values()) {
    const before = previous.linksById.get(link.linkId)
    if (before) logLinkChange(link, before, logger)
    else logger.info({ link: link.name, sourceClusterId: link.sourceClusterId }, 'link created')
  }
}

function logLinkChange(link: LinkImage, before: LinkImage, logger: Logger): void {
  const secrets = changedNames(link.secrets, before.secrets)
  const configs = [...new Set([...changedNames(link.configs, before.configs), ...secrets])]
  if (configs.length > 0) logger.info({ link: link.name, configs }, 'configs of a link changed')
}

function changedNames<V>(now: ReadonlyMap<string, V>, before: ReadonlyMap<string, V>): string[] {
  if (now === before) return []
  return [...new Set([...now.keys(), ...before.keys()])].filter((name) => now.get(name) !== before.get(name))
}
