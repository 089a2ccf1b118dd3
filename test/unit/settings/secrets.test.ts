import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { dropShellSecrets } from '../../../local/shell-secrets.ts'
import { errorOf, frontEnd, refusalsOf, settingsWith } from './environment.ts'
import type { Changes } from './environment.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const pem = rsa.export({ type: 'pkcs8', format: 'pem' }).toString()
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const ed25519 = generateKeyPairSync('ed25519').privateKey
const secret = randomBytes(24).toString('base64url')

/** A PFX begins with its version, 3; the rest is encrypted and has no recognisable form. */
const pfx = Buffer.concat([Buffer.from([0x30, 0x82, 0x04, 0x03, 0x02, 0x01, 0x03]), randomBytes(1024)])

const keys: Record<string, string> = {
  'PEM of PKCS #8': pem,
  'PEM on one line': pem.replaceAll('\n', String.raw`\n`),
  'PEM in base64': Buffer.from(pem).toString('base64'),
  'encrypted PEM': rsa.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: secret }).toString(),
  'PKCS #1 in base64': rsa.export({ type: 'pkcs1', format: 'der' }).toString('base64'),
  'PKCS #8 in base64url': rsa.export({ type: 'pkcs8', format: 'der' }).toString('base64url'),
  'PKCS #8 in lines of base64': (
    rsa
      .export({ type: 'pkcs8', format: 'der' })
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  ).join('\n'),
  'encrypted PKCS #8 in base64': rsa
    .export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: secret })
    .toString('base64'),
  'elliptic curve key in base64': ec.export({ type: 'sec1', format: 'der' }).toString('base64'),
  'Ed25519 key in base64': ed25519.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
  'PFX in base64': pfx.toString('base64'),
  'JSON Web Key': JSON.stringify(rsa.export({ format: 'jwk' })),
}

/** Expects a refusal that names this setting and contains no part of the secret. */
function expectRefusedSilently(changes: Changes, setting: string, hidden: string) {
  const error = errorOf(changes)
  expect(error.problems.map((problem) => problem.setting)).toContain(setting)
  const pieces = hidden.match(/[A-Za-z0-9+/_-]{16,}/g) ?? []
  expect(pieces.length).toBeGreaterThan(0)
  for (const piece of pieces) expect(error.message).not.toContain(piece)
}

describe('a private key', () => {
  it.each(Object.entries(keys))('is refused in a setting of the broker, under any name: %s', (_, key) => {
    expectRefusedSilently({ Broker__Anything: key }, 'Broker__Anything', key)
    expectRefusedSilently(
      { AzureAd__ClientCredentials__0__Base64EncodedValue: key },
      'AzureAd__ClientCredentials__0__Base64EncodedValue',
      key,
    )
    expectRefusedSilently({ AzureAd__ClientId: key }, 'AzureAd__ClientId', key)
    expect(refusalsOf({ Broker__TablePrefix: key })).toEqual([
      'Broker__TablePrefix contains a private key or a certificate as text',
    ])
  })

  it.each(Object.entries(keys))('is refused inside the JSON of the front ends: %s', (_, key) => {
    const json = JSON.stringify([{ ...frontEnd, returnUrls: [key] }])

    expectRefusedSilently({ Broker__FrontEnds: json }, 'Broker__FrontEnds', key)
  })

  it('as a JSON Web Key is refused as an object too', () => {
    const jwk = rsa.export({ format: 'jwk' })

    expect(refusalsOf({ Broker__FrontEnds: JSON.stringify([{ ...frontEnd, key: jwk }]) })).toEqual([
      'Broker__FrontEnds contains a private key or a certificate as text',
    ])
  })

  it('is not reported where there is none: the same settings with long texts are accepted', () => {
    const longUrl = `https://app.example.com/${'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC'.toLowerCase().repeat(4)}`

    expect(
      settingsWith({ Broker__FrontEnds: JSON.stringify([{ ...frontEnd, returnUrls: [longUrl] }]) }).frontEnds,
    ).toHaveLength(1)
  })

  it('is not searched for in a setting of another program', () => {
    expect(() => settingsWith({ OTHER_KEY: keys['PEM of PKCS #8'], WEBSITE_AUTH_SIGNING_KEY: secret })).not.toThrow()
  })
})

describe('a secret', () => {
  it.each([
    'AzureAd__ClientSecret',
    'AzureAd:ClientSecret',
    'AzureAd__ClientCredentials__0__ClientSecret',
    'Graph__ClientSecret',
    'clientsecret',
    'AZURE_CLIENT_SECRET',
    'Broker__StorePassword',
    'AzureAd__ClientCredentials__0__CertificatePassword',
  ])('is refused by its name: %s', (name) => {
    expectRefusedSilently({ [name]: secret }, name, secret)
    expect(refusalsOf({ [name]: secret })).toEqual([`${name} contains a secret`])
  })

  it.each([
    'MSI_SECRET',
    'IDENTITY_HEADER',
    'WEBSITE_AUTH_ENCRYPTION_KEY',
    'MICROSOFT_PROVIDER_AUTHENTICATION_SECRET',
    'APPSETTING_AzureAd__ClientSecret',
    'OTHER_CLIENT_SECRET_NAME',
  ])('of the platform or of another program is ignored: %s', (name) =>
    expect(() => settingsWith({ [name]: secret })).not.toThrow(),
  )

  it('is refused by its name inside the JSON of the front ends', () => {
    const json = JSON.stringify([{ ...frontEnd, clientSecret: secret }])

    expectRefusedSilently({ Broker__FrontEnds: json }, 'Broker__FrontEnds', secret)
  })

  it('of Entra ID is refused by its form, under any name and inside JSON', () => {
    const entra = `abc8Q~${randomBytes(25).toString('base64url')}`
    expectRefusedSilently({ Broker__Anything: entra }, 'Broker__Anything', entra)
    expectRefusedSilently(
      { Broker__FrontEnds: JSON.stringify([{ ...frontEnd, id: entra }]) },
      'Broker__FrontEnds',
      entra,
    )
    expect(settingsWith({ Broker__TablePrefix: 'abc8Qx' }).store.tablePrefix).toBe('abc8Qx')
  })

  it('that is empty is no secret', () => {
    expect(() => settingsWith({ AzureAd__ClientSecret: '' })).not.toThrow()
  })
})

describe('a connection string', () => {
  const withKey = `DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=${secret};EndpointSuffix=core.windows.net`

  it.each([
    withKey,
    `Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=${secret}`,
    `TableEndpoint=https://contoso.table.core.windows.net/;SharedAccessSignature=sv=2024&sig=${secret}`,
    `https://contoso.table.core.windows.net/?sv=2024-08-04&sp=rw&sig=${secret}`,
  ])('with a key or a signature is refused under the two prefixes', (value) => {
    expectRefusedSilently({ Broker__TableServiceUri: value }, 'Broker__TableServiceUri', secret)
    expect(refusalsOf({ Broker__TableServiceUri: value })).toEqual([
      'Broker__TableServiceUri is a connection string that contains a key or a signature',
    ])
  })

  it('with an account key is refused as the storage of the host, with the setting to use instead', () => {
    expectRefusedSilently({ AzureWebJobsStorage: withKey }, 'AzureWebJobsStorage', secret)
    expect(errorOf({ AzureWebJobsStorage: withKey }).problems[0]?.fix).toMatch(
      /UseDevelopmentStorage=true.*AzureWebJobsStorage__accountName/,
    )
  })

  it.each([
    ['AzureWebJobsStorage', 'UseDevelopmentStorage=true'],
    ['AzureWebJobsStorage__accountName', 'contoso'],
    ['APPLICATIONINSIGHTS_CONNECTION_STRING', 'InstrumentationKey=11111111-1111-4111-8111-111111111111'],
  ])('without a key is accepted: %s', (name, value) => expect(() => settingsWith({ [name]: value })).not.toThrow())
})

describe('a secret in a developer’s shell', () => {
  const shell = (): NodeJS.ProcessEnv => ({
    PATH: '/usr/bin',
    AZURE_CLIENT_SECRET: secret,
    AZURE_CLIENT_CERTIFICATE_PASSWORD: secret,
    AZURE_PASSWORD: secret,
    Graph__ClientSecret: secret,
    AzureWebJobsStorage: `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${secret}`,
    AzureAd__ClientSecret: secret,
    AZURE_CLIENT_ID: '7b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa',
    GITHUB_CLIENT_SECRET: secret,
  })
  const foreign = [
    'AZURE_CLIENT_SECRET',
    'AZURE_CLIENT_CERTIFICATE_PASSWORD',
    'AZURE_PASSWORD',
    'Graph__ClientSecret',
    'AzureWebJobsStorage',
  ]

  it('is removed with a warning, and refused only as a setting', () => {
    const environment = shell()
    const lines: string[] = []

    dropShellSecrets(environment, (line) => lines.push(line))

    expect(lines).toEqual(foreign.map((name) => expect.stringContaining(`Warning: ${name} `) as string))
    expect(lines.join()).not.toContain(secret)
    expect(Object.keys(environment)).toEqual(Object.keys(shell()).filter((name) => !foreign.includes(name)))
    for (const name of foreign) expect(refusalsOf({ [name]: shell()[name] })).toHaveLength(1)
  })

  it('under a name of the broker is a setting, and stays refused', () => {
    const environment = shell()

    dropShellSecrets(environment, () => undefined)

    expect(refusalsOf(environment)).toEqual(['AzureAd__ClientSecret contains a secret'])
  })
})
