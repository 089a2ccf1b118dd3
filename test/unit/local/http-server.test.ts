/** Listening on loopback: what is said of a port that is taken. */
import { afterEach, expect, it } from 'vitest'
import { listen, LocalError } from '../../../local/http-server.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
})

const serve = async (name: string, port: number) => {
  const server = await listen({ name, port, handler: (_, response) => void response.end(name) })
  open.push(server)
  return server
}

it('says of a taken port what wanted it and what to do, and takes it once it is free', async () => {
  const first = await serve('vault', 0)

  await expect(serve('demo API', first.port)).rejects.toThrow(LocalError)
  await expect(serve('demo API', first.port)).rejects.toThrow(
    `Port ${first.port} for the demo API is taken. End the program that listens there (perhaps an earlier npm start), or run: npm start -- --port 0`,
  )

  await first.close()
  await serve('demo API', first.port)
  expect(await (await fetch(`http://localhost:${first.port}`)).text()).toBe('demo API')
})
