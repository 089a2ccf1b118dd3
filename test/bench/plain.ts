/** A server of node:http that gives a fixed answer: what the functions host and its library cost is what comes on top of it. */
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
