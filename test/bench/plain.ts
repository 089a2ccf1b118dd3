/**
 * A server of node:http with a fixed answer: the cost of the functions host and its library is the difference to it.
 */
import http from 'node:http'
import { answer } from './bare-function/answer.ts'

const server = http.createServer((_, response) => {
  for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value)
  response.end(answer.body)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}` })}\n`)
})
