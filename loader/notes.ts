/** The notes of an artifact, in the form of ELF's (System V gABI, "Note Section") in every file format. */
import { NOTE_NAME } from '../runtime-c/abi.js';

/** Says what is wrong with a file, by throwing. */
export type Refuse = (what: string) => never;

/** A note: its type, and where its descriptor is in the file. */
export interface Note { readonly type: number; readonly start: number; readonly end: number }

/** Those of the notes in a part of a file whose name is ours. Name and descriptor are padded to the alignment; every offset is checked before it is used. */
export function readNotes(bytes: Buffer, start: number, end: number, align: 4 | 8, refuse: Refuse): Note[] {
  const pad = (at: number): number => start + Math.ceil((at - start) / align) * align;
  const notes: Note[] = [];
  for (let at = start; end - at >= 12;) {
    const [nameSize, size, type] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4), bytes.readUInt32LE(at + 8)];
    const name = at + 12;
    const desc = pad(name + nameSize);
    if (name + nameSize > end || desc + size > end) refuse('damaged: a note does not fit its segment');
    if (bytes.toString('latin1', name, name + nameSize) === `${NOTE_NAME}\0`) notes.push({ type, start: desc, end: desc + size });
    at = pad(desc + size);
  }
  return notes;
}
