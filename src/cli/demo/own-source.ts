/** The demo with a Kafka of your own: mirrors one topic of it, verifies, and touches nothing else there. */
import { join } from 'node:path'
import { ApiClient } from '../api-client.ts'
import { CliFailure, exitStatus, print, type Cli } from '../cli.ts'
import { verifyMirror } from '../mirror-verify.ts'
import { ChildBroker } from './child-broker.ts'
import { isCaughtUp, watchMirror } from './mirror-watch.ts'

const link = 'from-yours'
/** A source that is written to all the time is never caught up with; what there is by then is verified. */
const watchMaxMs = 45_000

export async function runWithSource(
  cli: Cli,
  folder: string,
  source: { readonly bootstrap: string; readonly topic: string },
): Promise<void> {
  const { bootstrap, topic } = source
  print(cli, 'Starting the destination.')
  const destination = await ChildBroker.start(cli, 'destination', join(folder, 'destination'))
  try {
    const api = new ApiClient(destination.url)
    const configs = [{ name: 'bootstrap.servers', value: bootstrap }]
    await atSource(bootstrap, api.kafka('POST', '/links', { query: { link_name: link }, body: { configs } }))
    await atSource(bootstrap, api.kafka('POST', `/links/${link}/mirrors`, { body: { source_topic_name: topic } }))
    print(cli, `Mirroring ${topic} from ${bootstrap} to ${destination.bootstrap}:`)
    const untilMs = Date.now() + watchMaxMs
    await watchMirror(api, cli, { link, topic, isDone: (mirror) => isCaughtUp(mirror) || Date.now() > untilMs })
    print(cli, 'Comparing the mirror with its source, batch by batch:')
    const status = await verifyMirror(api, cli, { link, topic, json: false })
    if (status !== exitStatus.ok) throw new CliFailure('the mirror could not be shown to be identical')
  } finally {
    await destination.end('SIGTERM')
  }
}

/** A refusal names the source it is about. */
async function atSource(bootstrap: string, command: Promise<unknown>): Promise<void> {
  try {
    await command
  } catch (error) {
    if (!(error instanceof CliFailure)) throw error
    throw new CliFailure(`${bootstrap}: ${error.message}`, error.status, { cause: error })
  }
}
