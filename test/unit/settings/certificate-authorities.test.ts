import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import { createCertificateAuthority } from '../../../local/certificate-authority.ts'
import { refusalsOf, settingsWith, warningsOf } from './environment.ts'

const first = (await createCertificateAuthority()).certificatePem
const second = (await createCertificateAuthority()).certificatePem
const name = 'Broker__CertificateAuthorities'

const fingerprintsOf = (certificates: readonly string[]) =>
  certificates.map((pem) => new X509Certificate(pem).fingerprint256)

describe('certificate authorities', () => {
  it.each([
    ['a PEM file', `${first}\n`, [first]],
    ['with line breaks of Windows', first.replaceAll('\n', '\r\n'), [first]],
    ['on one line, with blanks', first.replaceAll('\n', ' '), [first]],
    ['on one line, with escaped line breaks', first.replaceAll('\n', String.raw`\n`), [first]],
    ['two, with comments', `# Company root\n${first}\nsubject=CN = Proxy\n${second}\n`, [first, second]],
  ])('are read from the text of %s', (_what, text, expected) => {
    expect(fingerprintsOf(settingsWith({ [name]: text }).certificateAuthorities)).toEqual(fingerprintsOf(expected))
  })

  it('are the public ones alone where the setting is missing', () => {
    expect(settingsWith({}).certificateAuthorities).toEqual([])
  })

  it.each([
    ['a path', '/etc/ssl/company.pem', 'is not a text of PEM certificates'],
    ['half a certificate', first.slice(0, 200), 'is not a text of PEM certificates'],
    [
      'a certificate that lost a line',
      first.split('\n').toSpliced(2, 1).join('\n'),
      'has a certificate that cannot be read: number 1',
    ],
    ['a second one with a wrong label', first + second.replace('BEGIN', 'BEGN'), 'is not a text of PEM certificates'],
    [
      'a second one that is damaged',
      first + second.replace(/\n\w{2}/, '\n!!'),
      'has a certificate that cannot be read: number 2',
    ],
    ['the whole list of a browser', first.concat('\n').repeat(17), 'has 17 certificates, and at most 16 are accepted'],
  ])('are refused as %s', (_what, text, problem) => {
    expect(refusalsOf({ [name]: text })).toEqual([`${name} ${problem}`])
  })

  it('are refused with the private key of one, wherever it is in the text', () => {
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString()
    const der = key.export({ type: 'pkcs8', format: 'der' }).toString('base64')

    for (const text of [pem + first, first + pem, `${first}\n${der}`, first + pem.replaceAll('\n', String.raw`\n`)]) {
      expect(refusalsOf({ [name]: text })).toContain(`${name} contains a private key or a certificate as text`)
    }
  })

  it('need a Node.js that can add them', () => {
    const getBuiltinModule = vi.spyOn(process, 'getBuiltinModule').mockReturnValue({})
    expect(refusalsOf({ [name]: first })).toEqual([`${name} needs Node.js 22.19, 24.5 or later`])
    getBuiltinModule.mockRestore()
    expect(settingsWith({ [name]: first }).certificateAuthorities).toHaveLength(1)
  })
})

describe('NODE_EXTRA_CA_CERTS', () => {
  const extra = { NODE_EXTRA_CA_CERTS: '/etc/ssl/company.pem' }

  it('is reported in Azure, where a worker starts before it has the settings', () => {
    expect(warningsOf({ ...extra, WEBSITE_INSTANCE_ID: 'a1' })).toEqual([
      'NODE_EXTRA_CA_CERTS has no effect in a worker that started before it received the settings, as most do in Azure',
    ])
    expect(warningsOf(extra)).toEqual([])
  })
})
