/** Writes the snapshots that are committed for review: `node test/infra/update-snapshots.ts`. */
import { readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { format } from 'prettier'
import { startBicep } from '../setup/bicep.ts'

const folder = path.join(import.meta.dirname, 'snapshots')
const bicep = startBicep()
try {
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.bicepparam')).sort()) {
    const { outputs, ...snapshot } = await bicep.snapshot(path.join(folder, file))
    // The compiler's order of outputs changes from run to run.
    const sorted = Object.fromEntries(Object.entries(outputs).sort(([one], [other]) => (one < other ? -1 : 1)))
    const text = JSON.stringify({ ...snapshot, outputs: sorted })
    await writeFile(
      path.join(folder, file.replace('.bicepparam', '.snapshot.json')),
      await format(text, { parser: 'json', printWidth: 120 }),
    )
    console.log(file)
  }
} finally {
  bicep.close()
}
