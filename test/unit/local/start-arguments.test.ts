import { describe, expect, it } from 'vitest'
import { brokerPortOf, parseStartArguments } from '../../../local/start-arguments.ts'

describe('the arguments of npm start', () => {
  it('have defaults, and each one is read', () => {
    const defaults = { json: false, withBroker: true, port: undefined, inspect: undefined, help: false }
    expect(parseStartArguments([])).toEqual(defaults)
    const all = ['--port', '0', '--json', '--without-broker', '--inspect', '9230', '-h']
    expect(parseStartArguments(all)).toEqual({ json: true, withBroker: false, port: 0, inspect: '9230', help: true })
  })

  it.each([
    [['--port', ''], '--port must be a number'],
    [['--port', 'x'], '--port must be a number'],
    [['--port', '65536'], '--port must be a number'],
    [['--port=-1'], '--port must be a number'],
    [['--port', '1e3'], '--port must be a number'],
    [['--inspect', 'x'], '--inspect must be a number'],
    [['--port'], 'Known are --port N, --json'],
    [['--prot', '0'], 'Known are --port N, --json'],
    [['7071'], 'Known are --port N, --json'],
  ])('are refused with the accepted ones: %j', (args, sentence) => {
    expect(() => parseStartArguments(args)).toThrow(sentence)
  })

  it.each([
    ['http://localhost:7099/auth', 7099],
    ['http://localhost', 80],
    // Another server, such as a tunnel, forwards to the usual port.
    ['https://signin.example.com', 7071],
    ['https://localhost:7443', 7071],
    ['none', 7071],
    [undefined, 7071],
  ])('leave the port of the broker to Broker__BaseUrl %s: %i', (baseUrl, port) => {
    expect(brokerPortOf(baseUrl)).toBe(port)
  })
})
