import { showAxaFr } from './show-axa-fr.ts'

await showAxaFr()
