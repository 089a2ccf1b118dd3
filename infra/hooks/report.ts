/** What a hook did, in a short table at its end; and what is left for somebody to do. */
export interface Report {
  row(what: string, outcome: string): void
  /** A command or sentence for the person who deploys. */
  todo(text: string): void
  print(title: string): void
}

export function createReport(print: (text: string) => void = console.log): Report {
  const rows: (readonly [string, string])[] = []
  const todos: string[] = []
  return {
    row: (what, outcome) => void rows.push([what, outcome]),
    todo: (text) => void todos.push(text),
    print: (title) => {
      const width = Math.max(0, ...rows.map(([what]) => what.length))
      print(['', title, ...rows.map(([what, outcome]) => `  ${what.padEnd(width)}  ${outcome}`)].join('\n'))
      if (todos.length > 0) print(['', 'Left to do:', ...todos.map((text) => `  ${text}`)].join('\n'))
    },
  }
}
