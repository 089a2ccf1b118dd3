/**
 * Azure's refusals: the inner code of each service decides the remedy that the operator reads; unknown codes are safe.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { localIdentity, startManagedIdentity } from '../../../local/managed-identity/managed-identity.ts'
import { errorPage } from '../../../shared/http/pages.ts'
import { problem } from '../../../shared/http/problem.ts'
import { errorCatalogue } from '../../../shared/errors/catalogue.ts'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { graphRefusal, graphRemedies } from '../../../shared/certificate/graph-refusals.ts'
import { createAzureTableStore } from '../../../shared/store/azure-table/store.azure-table.ts'
import { tableRemedies } from '../../../shared/store/azure-table/table-refusals.ts'
import {
  identityNumberRemedies,
  identityRefusal,
  identityStatusRemedies,
} from '../../../shared/vault/identity-refusals.ts'
import { createKeyVault } from '../../../shared/vault/key-vault/vault.key-vault.ts'
import type { KeyVault } from '../../../shared/vault/key-vault/vault.key-vault.ts'
import { vaultRemedies } from '../../../shared/vault/key-vault/vault-refusals.ts'
import { createTokenCredential } from '../../../shared/vault/token-credential.azure-core.ts'
import { useIdentityEndpoint } from '../../setup/identity-endpoint.ts'
import { sendJson, startSecureServer } from '../../setup/secure-server.ts'
import type { SecureServer } from '../../setup/secure-server.ts'

const secretText = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwIn0'
const version = 'a'.repeat(32)
const now = Date.parse('2031-05-01T12:00:00Z')

/** The error of a call: a BrokerError, or a fault of the test. */
async function errorOf(call: Promise<unknown>): Promise<BrokerError> {
  const thrown: unknown = await call.then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  )
  if (thrown instanceof BrokerError) return thrown
  throw new Error('No BrokerError.', { cause: thrown })
}

let server: SecureServer
beforeAll(async () => {
  server = await startSecureServer()
})
afterAll(() => server.close())

describe('the vault’s inner code', () => {
  let vault: KeyVault
  beforeAll(() => {
    const getToken = () => Promise.resolve({ token: 'token', expiresOnTimestamp: Date.now() + 60_000 })
    vault = createKeyVault({
      vaultUrl: server.url,
      certificateName: 'broker',
      wrappingKeyName: 'ring',
      credential: { getToken },
      clock: () => now,
    })
  })
  const refuse = (status: number, error: object) =>
    server.answer(({ headers }, response) => {
      // The SDK's first request carries no token, to be challenged.
      if (headers.authorization) {
        sendJson(response, { error }, status)
        return
      }
      const challenge = 'Bearer authorization="https://login.microsoftonline.com/x", resource="https://vault.azure.net"'
      sendJson(response, {}, 401, { 'www-authenticate': challenge })
    })
  const calls = [
    ['REST', () => vault.sign(version, new Uint8Array(32), 'PS256')],
    ['the SDK', () => vault.listVersions()],
  ] as const

  describe.each(calls)('by %s', (_, call) => {
    it.each([429, 503])('%i with a Retry-After that is a date passes on the time until then', async (status) => {
      const date = new Date(now + 30_000).toUTCString()
      server.answer((_request, response) => sendJson(response, {}, status, { 'retry-after': date }))

      expect(await errorOf(call())).toMatchObject({ retryAfterSeconds: 30 })
    })

    it.each(Object.keys(vaultRemedies))('%s has its remedy', async (inner) => {
      refuse(403, { code: 'Forbidden', message: secretText, innererror: { code: inner } })

      const error = await errorOf(call())

      expect(error.code).toBe(vaultRemedies[inner]?.code ?? 'vault_forbidden')
      expect(error.remedy).toContain(vaultRemedies[inner]?.remedy)
      expect(error.detail).toBe(`vault answered 403 ${inner}`)
      expect(JSON.stringify(problem(error, 'r'))).not.toContain(secretText)
    })

    it('speaks of the network for a firewall, and not of permissions to grant', async () => {
      refuse(403, { code: 'Forbidden', innererror: { code: 'ForbiddenByFirewall' } })

      const { remedy } = await errorOf(call())

      expect(remedy).toMatch(/firewall/)
      expect(remedy).not.toMatch(/certificates get and list/)
    })

    it('at the outer or a deeper place has the same remedy', async () => {
      refuse(403, { code: 'ForbiddenByRbac' })
      expect((await errorOf(call())).remedy).toContain(vaultRemedies.ForbiddenByRbac?.remedy)

      const inner = { code: 'AccessDenied', innererror: { code: 'ForbiddenByFirewall' } }
      refuse(403, { code: 'Forbidden', innererror: inner })
      expect((await errorOf(call())).remedy).toContain(vaultRemedies.ForbiddenByFirewall?.remedy)
    })

    it.each([
      ['an unknown code', { code: 'Forbidden', innererror: { code: 'ForbiddenByMoon' } }],
      ['a name of every object', { code: 'Forbidden', innererror: { code: 'constructor' } }],
      ['a text in its place', { code: 'Forbidden', innererror: { code: secretText } }],
      ['no code', { message: secretText }],
      ['no object', secretText as unknown as object],
    ])('that is %s leaves the general remedy, and reveals no detail', async (_what, error) => {
      refuse(403, error)

      const refused = await errorOf(call())

      expect(refused).toMatchObject({ code: 'vault_forbidden', remedy: errorCatalogue.vault_forbidden.remedy })
      expect(refused.detail).not.toContain(secretText)
    })

    it('is read at a 404 too: a missing vault is not a missing certificate', async () => {
      refuse(404, { code: 'VaultNotFound' })
      expect(await errorOf(call())).toMatchObject({ code: 'vault_unavailable' })

      refuse(404, { code: 'CertificateNotFound' })
      expect(await errorOf(call())).toMatchObject({ code: 'certificate_missing' })
    })
  })
})

describe('the table service’s code', () => {
  const find = () =>
    createAzureTableStore({
      tableServiceUri: server.url,
      tablePrefix: 'broker',
      credential: () => Promise.reject(new Error('not used on loopback')),
    }).find('sessions', { partition: 'p', row: 'r' })
  const refuse = (code: string) =>
    server.answer((_, response) => {
      sendJson(response, { 'odata.error': { code, message: { value: secretText } } }, 403)
    })

  it.each(Object.keys(tableRemedies).filter((code) => code !== 'TableNotFound'))('%s has its remedy', async (code) => {
    refuse(code)

    const error = await errorOf(find())

    expect(error.code).toBe('store_unavailable')
    expect(error.remedy).toContain(tableRemedies[code])
    expect(error.detail).toBe(`sessions: 403 ${code}`)
    expect(JSON.stringify(problem(error, 'r'))).not.toContain(secretText)
  })

  it('distinguishes a missing role from a network rule', async () => {
    refuse('AuthorizationPermissionMismatch')
    expect((await errorOf(find())).remedy).toMatch(/assign the role Storage Table Data Contributor/)

    refuse('AuthorizationFailure')
    expect((await errorOf(find())).remedy).toMatch(/network rules/)
  })

  it.each(['SomethingNew', 'constructor', 'toString'])(
    'that is unknown leaves the general remedy: %s',
    async (code) => {
      refuse(code)
      expect((await errorOf(find())).remedy).toBe(errorCatalogue.store_unavailable.remedy)
    },
  )
})

describe('the identity endpoint', () => {
  it('has a remedy for each status, by the SDK', async () => {
    const identity = await startManagedIdentity({ port: 0 })
    useIdentityEndpoint(identity)
    try {
      for (const status of [400, 401, 403]) {
        identity.failWith({ status })
        const credential = createTokenCredential({
          managedIdentity: true,
          managedIdentityClientId: localIdentity.clientId,
          clock: Date.now,
        })

        const error = await errorOf(credential.getToken(`https://status-${status}.example/.default`))

        expect(error.code).toBe('managed_identity_unavailable')
        expect(error.remedy).toContain(identityStatusRemedies[status])
      }
    } finally {
      vi.unstubAllEnvs()
      await identity.close()
    }
  })

  it.each(Object.entries(identityNumberRemedies))('has a remedy for AADSTS%s in any cause', (number, remedy) => {
    const inner = Object.assign(new Error(`AADSTS${number}: ${secretText}`), { status: 400 })

    const error = identityRefusal(new Error('wrapped', { cause: inner }), true)

    expect(error.remedy).toContain(remedy)
    expect(error.detail).toBe(`identity endpoint answered 400 AADSTS${number}`)
  })

  it('has a remedy where no server listens, and for a developer', () => {
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })

    expect(identityRefusal(new Error('wrapped', { cause: refused }), true).remedy).toMatch(/attach a managed identity/)
    expect(identityRefusal(refused, false).remedy).toMatch(/az login/)
  })

  it.each([new Error('AADSTS999999: unknown'), new Error('deadline'), 'text', undefined])(
    'leaves the general remedy for anything unknown: %s',
    (cause) => {
      expect(identityRefusal(cause, true).remedy).toBe(errorCatalogue.managed_identity_unavailable.remedy)
    },
  )
})

describe('Graph’s code', () => {
  it.each(Object.keys(graphRemedies))('%s has its remedy', (code) => {
    const error = graphRefusal('addKey', 403, { code, message: secretText })

    expect(error).toMatchObject({ code: 'registration_refused', remedy: graphRemedies[code] })
    expect(error.detail).toBe(`addKey answered 403 ${code}`)
  })

  it('is the inner one where that is known', () => {
    const innerError = { code: 'CredentialInvalidLifetimeAsPerAppPolicy' }

    expect(graphRefusal('addKey', 400, { code: 'Request_BadRequest', innerError }).remedy).toMatch(/policy/)
    expect(graphRefusal('addKey', 400, { code: 'Request_BadRequest', innerError: { code: secretText } }).remedy).toBe(
      graphRemedies.Request_BadRequest,
    )
  })

  it.each([undefined, null, 'text', {}, { code: 7 }, { code: secretText }, { code: 'constructor' }])(
    'that is unknown leaves the general remedy: %s',
    (error) => {
      const refused = graphRefusal('addKey', 400, error)

      expect(refused.remedy).toBe(errorCatalogue.registration_refused.remedy)
      expect(refused.detail).not.toContain(secretText)
    },
  )
})

describe('a remedy of its own', () => {
  it('replaces the catalogue’s on the page and in the problem', () => {
    const error = new BrokerError('vault_forbidden', { remedy: 'Do this.' })

    expect(errorPage(error, 'r').body).toContain('<p>Do this.</p>')
    expect(JSON.parse(problem(error, 'r').body ?? '')).toMatchObject({ code: 'vault_forbidden', detail: 'Do this.' })
  })
})
