import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from '../setup/bicep.ts'

/**
 * Commands of az and azd that documents and printed sentences use, with their flags as the reference of each command
 * lists them. A star marks a required flag.
 */
const commands: Readonly<Record<string, string>> = {
  'az account show': '--query --output',
  'az cloud show': '--name --query --output',
  'az ad app create': '--display-name* --sign-in-audience',
  'az ad app credential reset': '--id* --cert --append',
  'az ad app delete': '--id*',
  'az ad app federated-credential create': '--id* --parameters*',
  'az ad app federated-credential delete': '--id* --federated-credential-id*',
  'az ad app permission admin-consent': '--id*',
  'az ad sp create': '--id*',
  'az deployment group create': '--resource-group* --name --template-file --parameters',
  'az eventgrid system-topic delete': '--name* --resource-group* --yes',
  'az eventgrid system-topic show': '--name* --resource-group* --query --output',
  'az functionapp function list': '--name* --resource-group*',
  'az functionapp keys list': '--name* --resource-group* --query --output',
  'az functionapp list-flexconsumption-locations': '--zone-redundant',
  'az functionapp list-flexconsumption-runtimes': '--location* --runtime*',
  'az group delete': '--name*',
  'az identity federated-credential create':
    '--name* --identity-name* --resource-group* --issuer --subject --audiences',
  'az keyvault certificate download': '--vault-name* --name* --file* --encoding',
  'az keyvault certificate pending merge': '--vault-name* --name* --file*',
  'az keyvault certificate recover': '--vault-name* --name*',
  'az keyvault certificate set-attributes': '--vault-name* --name* --version --enabled',
  'az keyvault key rotate': '--vault-name* --name*',
  'az keyvault key set-attributes': '--vault-name* --name* --ops',
  'az keyvault set-policy': '--name* --object-id --certificate-permissions --key-permissions',
  'az keyvault show': '--name* --query --output',
  'az lock delete': '--name* --resource-group --resource --resource-type',
  'az login': '',
  'az bicep install': '',
  'az provider register': '--namespace* --wait',
  'az resource list': '--tag --output',
  'az rest': '--method --uri* --headers --body',
  'az role assignment create': '--role* --scope* --assignee --assignee-object-id --assignee-principal-type',
  'az role assignment delete': '--assignee* --scope*',
  'az role definition create': '--role-definition*',
  'azd auth login': '--tenant-id --client-id --federated-credential-provider',
  'azd config set': '',
  'azd deploy': '--all --from-package --no-prompt',
  'azd down': '',
  'azd env get-value': '',
  'azd env get-values': '--output --no-prompt',
  'azd env new': '--subscription --location',
  'azd env select': '',
  'azd env set': '',
  'azd init': '--template',
  'azd package': '--all --output-path',
  'azd pipeline config': '--provider --auth-type',
  'azd provision': '--preview --no-prompt --no-state',
  'azd up': '--no-prompt',
}
const names = Object.keys(commands).sort((one, other) => other.length - one.length)

/** az groups that a command may begin with: another word behind `az` is prose. */
const groups =
  /^az (ad|account|bicep|cloud|deployment|eventgrid|functionapp|identity|keyvault|lock|login|monitor|network|provider|rest|role|storage|webapp|group|resource)\b/

interface Found {
  readonly place: string
  readonly text: string
}

/** Markdown: inline code and fenced blocks. A code span may hold several commands. */
function inMarkdown(file: string): Found[] {
  const text = readFileSync(path.join(root, file), 'utf8')
  const spans = [...text.matchAll(/`(azd? [^`\n]+)`/g), ...text.matchAll(/^\s*(azd? [a-z].*)$/gm)]
  return spans.map(([, span = '']) => ({ place: file, text: span }))
}

/** Sources: the rest of the line behind `az `, up to the end of the text or the next command. */
function inSource(file: string): Found[] {
  const lines = readFileSync(path.join(root, file), 'utf8').split('\n')
  return lines.flatMap((line) =>
    line
      .split(/(?=\baz [a-z])/)
      .filter((part) => groups.test(part) && !/^\s*\*/.test(line))
      .map((text) => ({ place: file, text: text.replace(/[`'](?![^`']*--).*$/, '').replace(/\)\.?\s*$/, '') })),
  )
}

const documents = [
  'README.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  ...readdirSync(path.join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
const sources = ['infra/hooks', 'tools/certificate', 'shared/errors', 'infra'].flatMap((folder) =>
  readdirSync(path.join(root, folder))
    .filter((name) => /\.(ts|bicep)$/.test(name))
    .map((name) => `${folder}/${name}`),
)

const found = [...documents.flatMap(inMarkdown), ...sources.flatMap(inSource)].filter(({ text }) => !text.includes('…'))

describe('the commands of documents and printed sentences', () => {
  it('are found in both', () => {
    expect(found.filter(({ place }) => place.startsWith('docs/')).length).toBeGreaterThan(20)
    expect(found.filter(({ place }) => place.startsWith('infra/hooks/')).length).toBeGreaterThan(8)
  })

  it.each(found.map(({ place, text }) => [place, text]))('%s: %s', (_place, text) => {
    const name = names.find((one) => text === one || text.startsWith(`${one} `) || text.startsWith(`${one}.`))
    expect(name, 'a known command').toBeDefined()
    const flags = (commands[name!] ?? '').split(' ')
    const known = flags.map((flag) => flag.replace('*', ''))
    const used = [...text.matchAll(/(?<=\s)--[a-z][a-z-]*/g)].map(([flag]) => flag)

    expect(used.filter((flag) => !known.includes(flag))).toEqual([])
    // A command that is only named has no flags; one with flags has those that it requires.
    const required = flags.filter((flag) => flag.endsWith('*')).map((flag) => flag.slice(0, -1))
    if (used.length > 0) expect(used).toEqual(expect.arrayContaining(required))
  })

  it('pass no JSON in a document either, also over several lines', () => {
    for (const file of documents) {
      const lines = readFileSync(path.join(root, file), 'utf8').match(/^\s*az .*$/gm) ?? []
      expect(
        lines.filter((line) => /['"]\s*[[{]/.test(line)),
        file,
      ).toEqual([])
    }
  })

  it('pass JSON and certificates by a file in quotation marks, which PowerShell passes on unchanged', () => {
    for (const { text } of found) {
      expect(text).not.toMatch(/(?<!")@[\w.]+(pem|json)/)
      expect(text).not.toMatch(/'\s*[[{]"/)
      expect(text).not.toMatch(/az ad app update/)
    }
  })
})
