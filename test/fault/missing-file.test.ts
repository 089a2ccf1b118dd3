/** A package that was not copied whole. */
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { startHostProcess } from '../../local/functions-host/process.ts'
import type { HostProcess } from '../../local/functions-host/process.ts'
import { localDefaults } from '../../local/local-defaults.ts'

let dist: string
let broker: HostProcess
let log = ''
beforeAll(async () => {
  dist = await mkdtemp(path.join(os.tmpdir(), 'broker-part-'))
  await cp(inject('dist'), dist, { recursive: true })
  const files = (await readdir(dist)).filter((name) => name.startsWith('handlers-'))
  expect(files).toHaveLength(1)
  await rm(path.join(dist, files[0]!))
  const env = { PATH: process.env.PATH, ...localDefaults, APPLICATIONINSIGHTS_CONNECTION_STRING: '' }
  broker = await startHostProcess({
    dist,
    hostProgram: inject('hostProgram'),
    port: 0,
    env,
    write: (text) => void (log += text),
  })
})
afterAll(async () => {
  await broker.close()
  await rm(dist, { recursive: true, force: true })
})

it('answers 500 and names the file in the log, and its process goes on', async () => {
  const { pid } = broker

  for (const route of ['/login', '/health', '/session', '/health']) {
    expect([route, (await fetch(broker.url + route)).status]).toEqual([route, 500])
  }

  expect(log).toMatch(/Cannot find module .*handlers-/)
  expect(broker.pid).toBe(pid)
})
