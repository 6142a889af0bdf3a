/** The code under test: sends an order to Kafka. */
export async function placeOrder(producer, order) {
  await producer.send({
    topic: 'orders',
    messages: [{ key: order.customer, value: JSON.stringify(order) }],
  })
}
