import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseSettings } from '../../shared/settings/settings.ts'
import { skipsWithoutBicep, startBicep } from '../setup/bicep.ts'
import type { Bicep, PredictedResource, Snapshot } from '../setup/bicep.ts'
import { resources, rules, settingsAsDeployed } from './assertions.ts'

const folder = path.join(import.meta.dirname, 'snapshots')
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.bicepparam'))
  .map((file) => file.replace('.bicepparam', ''))

describe.skipIf(skipsWithoutBicep)('what a deployment makes', () => {
  const snapshots = new Map<string, Snapshot>()
  let bicep: Bicep
  const snapshot = (name: string) => snapshots.get(name)!

  beforeAll(async () => {
    bicep = startBicep()
    for (const name of names) snapshots.set(name, await bicep.snapshot(path.join(folder, `${name}.bicepparam`)))
  })
  afterAll(() => bicep.close())

  describe.each(names)('%s', (name) => {
    it('is what was reviewed (after a change: node test/infra/update-snapshots.ts, then read the difference)', () => {
      const reviewed = JSON.parse(readFileSync(path.join(folder, `${name}.snapshot.json`), 'utf8')) as Snapshot

      expect(snapshot(name)).toEqual(reviewed)
    })

    it.each(rules)('$name', ({ violations }) => {
      expect(violations(snapshot(name))).toEqual([])
    })

    it('starts the broker: its app settings are settings', () => {
      const environment = settingsAsDeployed(snapshot(name))

      const settings = parseSettings({
        ...environment,
        WEBSITE_SITE_NAME: 'func',
        IDENTITY_ENDPOINT: 'http://169.254.255.2:8081/msi/token',
      })

      expect(settings.credential.managedIdentity).toBe(true)
      expect(settings.baseUrl).toMatch(
        name.startsWith('d') && !name.startsWith('domain') ? /azurewebsites\.net$/ : /^https:/,
      )
    })
  })

  it.each(['default', 'rbac', 'domain'])(
    '%s: the second pass keeps all that the first made, and adds to it',
    (name) => {
      const before = snapshot(name).predictedResources
      const after = new Map(snapshot(`${name}-second`).predictedResources.map((resource) => [resource.id, resource]))

      const changed = before.filter((resource) => !isSame(resource, after.get(resource.id)))

      // The right to make certificates, which is over; a binding that now has its certificate.
      const expected =
        name === 'rbac'
          ? ['Microsoft.Authorization/roleDefinitions']
          : [
              'Microsoft.KeyVault/vaults/accessPolicies',
              ...(name === 'domain' ? ['Microsoft.Web/sites/hostNameBindings'] : []),
            ]
      expect(changed.map(({ type }) => type)).toEqual(expected)
      expect(after.size).toBeGreaterThan(new Set(before.map(({ id }) => id)).size)
    },
  )

  it('makes nothing twice', () => {
    for (const name of names.filter((one) => one !== 'domain')) {
      const ids = snapshot(name).predictedResources.map(({ id }) => id)
      expect(ids).toHaveLength(new Set(ids).size)
    }
  })

  it('binds the domain without TLS only where it is not bound yet', () => {
    const states = (name: string) =>
      resources(snapshot(name), 'Microsoft.Web/sites/hostNameBindings').map(
        (binding) => (binding['properties'] as { sslState: string }).sslState,
      )

    expect(states('domain')).toEqual(['Disabled', 'SniEnabled'])
    expect(states('domain-second')).toEqual(['SniEnabled'])
  })

  it('gives names that Azure takes', () => {
    for (const name of names) {
      const named = (type: string) => resources(snapshot(name), type).map((resource) => resource.name)
      expect(named('Microsoft.KeyVault/vaults')).toEqual([expect.stringMatching(/^[a-z](?:-?[a-z0-9]){2,23}$/)])
      expect(named('Microsoft.Storage/storageAccounts')).toEqual([expect.stringMatching(/^[a-z0-9]{3,24}$/)])
      expect(named('Microsoft.Web/sites')).toEqual([expect.stringMatching(/^[a-z][a-z0-9-]{1,58}[a-z0-9]$/)])
    }
  })
})

function isSame(one: PredictedResource, other: PredictedResource | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
