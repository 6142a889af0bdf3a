/**
 * Every metric that is served, once: `docs/metrics.md` is written from it. Where Kafka has the metric, the name is the
 * one that the usual rules of the JMX exporter give it, in small letters; the rest begins with `titorelli_`, or is what
 * Node's and Prometheus' own clients call it.
 */
export interface MetricDeclaration {
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary'
  readonly labels: readonly string[]
  readonly help: string
}

const traffic = 'The sample without a topic is of all topics, deleted ones included.'

export const metricCatalog = {
  kafka_server_brokertopicmetrics_messagesin_total: counter(['topic'], `Records that clients produced. ${traffic}`),
  kafka_server_brokertopicmetrics_bytesin_total: counter(
    ['topic'],
    `Bytes of batches that clients produced. ${traffic}`,
  ),
  kafka_server_brokertopicmetrics_bytesout_total: counter(['topic'], `Bytes of batches sent to clients. ${traffic}`),
  kafka_server_brokertopicmetrics_totalproducerequests_total: counter(
    ['topic'],
    `Partitions named by produce requests. ${traffic}`,
  ),
  kafka_server_brokertopicmetrics_totalfetchrequests_total: counter(
    ['topic'],
    `Partitions named by fetches. ${traffic}`,
  ),
  kafka_server_brokertopicmetrics_failedproducerequests_total: counter(
    ['topic'],
    `Partitions of produce requests that were refused. ${traffic}`,
  ),
  kafka_server_brokertopicmetrics_failedfetchrequests_total: counter(
    ['topic'],
    `Partitions of fetches that were refused. ${traffic}`,
  ),
  kafka_server_replicamanager_partitioncount: gauge(['broker'], 'Partitions that have a replica at the broker.'),
  kafka_server_replicamanager_leadercount: gauge(['broker'], 'Partitions that the broker leads.'),
  kafka_server_replicamanager_underreplicatedpartitions: gauge(
    ['broker'],
    'Partitions that the broker leads and that miss a replica in sync.',
  ),
  kafka_server_socket_server_metrics_connection_count: gauge(['broker'], 'Open connections of Kafka clients.'),
  kafka_network_requestmetrics_requests_total: counter(['request', 'version'], 'Requests answered.'),
  kafka_network_requestmetrics_totaltimems: summary(
    ['request'],
    'Milliseconds from a request to its answer, waiting included; quantiles of the last one to two minutes.',
  ),
  kafka_controller_kafkacontroller_activecontrollercount: gauge([], '1: there is one controller.'),
  kafka_controller_kafkacontroller_activebrokercount: gauge([], 'Brokers of the process that are up.'),
  kafka_controller_kafkacontroller_fencedbrokercount: gauge([], 'Brokers of the process that are down.'),
  kafka_controller_kafkacontroller_globaltopiccount: gauge([], 'Topics.'),
  kafka_controller_kafkacontroller_globalpartitioncount: gauge([], 'Partitions.'),
  kafka_controller_kafkacontroller_offlinepartitionscount: gauge([], 'Partitions without a leader.'),
  kafka_controller_kafkacontroller_preferredreplicaimbalancecount: gauge(
    [],
    'Partitions that another broker leads than the first of their replicas.',
  ),
  kafka_log_log_size: gauge(['topic', 'partition'], 'Bytes of the log.'),
  kafka_log_log_logstartoffset: gauge(['topic', 'partition'], 'The first offset of the log.'),
  kafka_log_log_logendoffset: gauge(['topic', 'partition'], 'The offset that the next record gets.'),
  kafka_coordinator_group_groupmetadatamanager_numgroups: gauge(['broker'], 'Groups that the broker coordinates.'),
  kafka_coordinator_group_groupmetadatamanager_numgroupsstable: gauge(['broker'], 'Groups in state Stable.'),
  kafka_coordinator_group_groupmetadatamanager_numgroupsempty: gauge(['broker'], 'Groups in state Empty.'),
  kafka_coordinator_group_groupmetadatamanager_numgroupsdead: gauge(['broker'], 'Groups in state Dead.'),
  kafka_coordinator_group_groupmetadatamanager_numgroupspreparingrebalance: gauge(
    ['broker'],
    'Groups in state PreparingRebalance.',
  ),
  kafka_coordinator_group_groupmetadatamanager_numgroupscompletingrebalance: gauge(
    ['broker'],
    'Groups in state CompletingRebalance.',
  ),

  kafka_consumergroup_current_offset: gauge(
    ['consumergroup', 'topic', 'partition'],
    'The committed offset of a group, under the name that kafka_exporter gives it, as the lag.',
  ),
  kafka_consumergroup_lag: gauge(
    ['consumergroup', 'topic', 'partition'],
    'Offsets between what the group has committed and the end of what it may read.',
  ),

  titorelli_request_duration_seconds: histogram(
    ['request'],
    'Seconds from a request to its answer, waiting included, since the start.',
  ),
  titorelli_request_defects_total: counter([], 'Requests that ended in a defect of the broker; its log has each.'),
  titorelli_append_batches_total: counter(['origin'], 'Batches written: by clients, by coordinators, by links.'),
  titorelli_append_records_total: counter(['origin'], 'Records in those batches.'),
  titorelli_append_bytes_total: counter(['origin'], 'Bytes of those batches.'),
  titorelli_append_failures_total: counter(['origin'], 'Appends that a log refused or could not write.'),
  titorelli_link_state: gauge(['link', 'state'], '1 for the state that the link is in, 0 for the others.'),
  titorelli_link_mirror_topics: gauge(['link'], 'Mirror topics of the link.'),
  titorelli_mirror_state: gauge(['link', 'topic', 'state'], '1 for the state that the mirror is in, 0 for the others.'),
  titorelli_mirror_lag: gauge(
    ['link', 'topic', 'partition'],
    "Offsets between the mirror's end and the end of its source as last seen; -1 before the first fetch.",
  ),
  titorelli_mirror_partition_state: gauge(
    ['link', 'topic', 'partition', 'state'],
    '1 for the state that the partition of the mirror is in, 0 for the others.',
  ),
  titorelli_mirror_last_fetch_timestamp_seconds: gauge(
    ['link', 'topic', 'partition'],
    'When the source last answered a fetch, in seconds since 1970.',
  ),
  titorelli_verify_runs_total: counter(['verdict'], 'Verifications of mirrors that came to an end.'),
  titorelli_memory_limit_bytes: gauge([], 'The memory budget: `titorelli.memory.budget.bytes`.'),
  titorelli_memory_used_bytes: gauge(['kind'], 'What of it is used for what.'),
  titorelli_memory_pressure: gauge([], '0 none, 1 caches shrink, 2 fetches shrink, 3 connections are not read.'),

  process_start_time_seconds: gauge([], 'When the process started, in seconds since 1970.'),
  process_cpu_user_seconds_total: counter([], 'CPU time of the process in user mode.'),
  process_cpu_system_seconds_total: counter([], 'CPU time of the process in system mode.'),
  process_resident_memory_bytes: gauge([], 'Resident memory of the process.'),
  nodejs_heap_size_total_bytes: gauge([], 'The JavaScript heap.'),
  nodejs_heap_size_used_bytes: gauge([], 'What of the JavaScript heap is used.'),
  nodejs_external_memory_bytes: gauge([], 'Memory outside of the heap that JavaScript objects hold, buffers included.'),
  nodejs_eventloop_lag_mean_seconds: gauge([], 'How late timers ran since the last scrape, mean.'),
  nodejs_eventloop_lag_p99_seconds: gauge([], 'How late timers ran since the last scrape, 99th percentile.'),
  nodejs_eventloop_lag_max_seconds: gauge([], 'How late timers ran since the last scrape, most.'),
} as const satisfies Record<string, MetricDeclaration>

export type MetricName = keyof typeof metricCatalog

function counter(labels: readonly string[], help: string): MetricDeclaration {
  return { type: 'counter', labels, help }
}
function gauge(labels: readonly string[], help: string): MetricDeclaration {
  return { type: 'gauge', labels, help }
}
function histogram(labels: readonly string[], help: string): MetricDeclaration {
  return { type: 'histogram', labels, help }
}
function summary(labels: readonly string[], help: string): MetricDeclaration {
  return { type: 'summary', labels, help }
}
