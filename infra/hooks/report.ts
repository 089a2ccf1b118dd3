/** What a hook did, as a short table at its end, and the commands that are left for a person. */
export interface Report {
  row(subject: string, outcome: string): void
  /** A command or sentence for the person who deploys. */
  todo(text: string): void
  /** One line at once, while the hook waits. */
  progress(text: string): void
  print(title: string): void
}

export function createReport(print: (text: string) => void = console.log): Report {
  const rows: (readonly [string, string])[] = []
  const todos: string[] = []
  return {
    row: (subject, outcome) => void rows.push([subject, outcome]),
    todo: (text) => void todos.push(text),
    progress: (text) => {
      print(`${text} …`)
    },
    print: (title) => {
      const width = Math.max(0, ...rows.map(([subject]) => subject.length))
      print(['', title, ...rows.map(([subject, outcome]) => `  ${subject.padEnd(width)}  ${outcome}`)].join('\n'))
      if (todos.length > 0) print(['', 'Left to do:', ...todos.map((text) => `  ${text}`)].join('\n'))
    },
  }
}
