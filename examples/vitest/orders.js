/** The code under test: sends an order to Kafka. */
export async function placeOrder(producer, order) {
  await producer.send({ messages: [{ topic: 'orders', key: order.customer, value: JSON.stringify(order) }] })
}
