/** Writes the three snapshots that are committed for review: `node test/infra/update-snapshots.ts`. */
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { format } from 'prettier'
import { startBicep } from '../setup/bicep.ts'
import { reviewedSnapshots } from './rules/template-rules.ts'

const folder = path.join(import.meta.dirname, 'snapshots')
const bicep = startBicep()
try {
  for (const name of reviewedSnapshots) {
    const { outputs, ...snapshot } = await bicep.snapshot(path.join(folder, `${name}.bicepparam`))
    // The order of outputs changes from run to run of the compiler.
    const sorted = Object.fromEntries(Object.entries(outputs).sort(([one], [other]) => (one < other ? -1 : 1)))
    const text = JSON.stringify({ ...snapshot, outputs: sorted })
    await writeFile(path.join(folder, `${name}.snapshot.json`), await format(text, { parser: 'json', printWidth: 120 }))
    console.log(name)
  }
} finally {
  bicep.close()
}
