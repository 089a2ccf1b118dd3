/** local.settings.json: the values that are read, and the error for an invalid file. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { copyExampleSettings, findSettingsFile } from '../../../local/settings-file.ts'

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'settings-'))
  file = path.join(folder, 'local.settings.json')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('reading local.settings.json', () => {
  it('returns its values as text, with and without a byte order mark', async () => {
    const text = JSON.stringify({ IsEncrypted: false, Values: { A: 'a', Number: 5, Flag: true }, Host: { CORS: '*' } })
    for (const mark of ['', '\uFEFF']) {
      await writeFile(file, mark + text)
      expect(await findSettingsFile(file)).toEqual({ A: 'a', Number: '5', Flag: 'true' })
    }
  })

  it.each([
    ['{"IsEncrypted": false, "Values": {"Secret": "s3cret" "B": "c"}}', /is not JSON \(at position \d+/],
    ['{"Values": {"Secret": "s3cret" /* ', /is not JSON/],
    [Buffer.from('\uFEFF{"Values": {}}', 'utf16le').toString(), /is not UTF-8/],
    ['{"Values": {"Secret": "s3cret",,}}', /is not JSON/],
    ['{"IsEncrypted": true, "Values": {"A": "x"}}', /is encrypted.*func settings decrypt/],
    ['{"Values": {"Broker__FrontEnds": [{"id": "spa"}]}}', /Broker__FrontEnds in .* has to be text/],
    ['[]', /has to be \{"IsEncrypted": false, "Values"/],
  ])('refuses %s with a sentence that shows no value', async (text, sentence) => {
    await writeFile(file, text)

    await expect(findSettingsFile(file)).rejects.toThrow(sentence)
    await expect(findSettingsFile(file)).rejects.not.toThrow(/s3cret/)
    // The same exit code as for any refused settings.
    await expect(findSettingsFile(file)).rejects.toMatchObject({ exitCode: 2 })
  })

  it('accepts comments and trailing commas, as Core Tools does, and leaves strings as they are', async () => {
    const text = `// first
{
  "IsEncrypted": false, /* not
  encrypted */
  "Values": {
    "Url": "https://login.example/a//b", // the provider's
    "Text": "/* no comment */ ,} ,] \\" // neither",
    "Json": "[1,2,]",
    "Last": "x", // and a comma
  },
  "Host": { "Ports": [7071, ], },
}
/* the end */`
    await writeFile(file, text)

    expect(await findSettingsFile(file)).toEqual({
      Url: 'https://login.example/a//b',
      Text: '/* no comment */ ,} ,] " // neither',
      Json: '[1,2,]',
      Last: 'x',
    })
  })

  it('returns nothing where there is none', async () => {
    expect(await findSettingsFile(file)).toBeUndefined()
  })
})

describe('the example settings', () => {
  it('are copied where there are none, and never over a file that is there', async () => {
    await writeFile(path.join(folder, 'local.settings.example.json'), 'example')

    expect(await copyExampleSettings(folder)).toBe(true)
    expect(await readFile(file, 'utf8')).toBe('example')

    await writeFile(file, 'mine')
    expect(await copyExampleSettings(folder)).toBe(false)
    expect(await readFile(file, 'utf8')).toBe('mine')
  })
})
