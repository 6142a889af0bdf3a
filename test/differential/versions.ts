/** The versions in which both brokers can be asked. */
import type { Api } from '../../protocol/schema.ts'
import { versionsOf } from '../support/broker.ts'

/** What Kafka 4.3 does not serve yet: the last version that it does, by API. */
const lastOfKafka: Readonly<Record<string, number>> = { ApiVersions: 4, DescribeLogDirs: 4, DeleteGroups: 2 }

export function commonVersionsOf(api: Api): number[] {
  return versionsOf(api).filter((version) => version <= (lastOfKafka[api.name] ?? version))
}
