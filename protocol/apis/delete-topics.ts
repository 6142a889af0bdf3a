import { array, defineApi, int16, int32, string, uuid } from '../schema.ts'

/** Deletes topics, by name or by id. Spec: Kafka `DeleteTopicsRequest.json`, `DeleteTopicsResponse.json`. */
export const DeleteTopics = defineApi({
  name: 'DeleteTopics',
  key: 20,
  versions: '1-6',
  flexible: '4+',
  request: {
    topics: array(
      'Topics to delete, by name or by id.',
      {
        name: string('Topic name, or null to delete by id.', { nullable: '6+', default: null }),
        topicId: uuid('Topic id; the zero id deletes by name.'),
      },
      { versions: '6+' },
    ),
    topicNames: array('Names of the topics to delete.', 'string', { versions: '1-5', ignorable: true }),
    timeoutMs: int32('How long the broker may take, in milliseconds.'),
  },
  response: {
    throttleTimeMs: int32('How long a quota held the request back, in milliseconds.', { ignorable: true }),
    responses: array('One entry per topic.', {
      name: string('Topic name; null where an id was given that nobody knows.', { nullable: '6+', mapKey: true }),
      topicId: uuid('Topic id.', { versions: '6+', ignorable: true }),
      errorCode: int16('Error code, 0 for success.'),
      errorMessage: string('What went wrong, or null.', {
        versions: '5+',
        nullable: '5+',
        default: null,
        ignorable: true,
      }),
    }),
  },
})
