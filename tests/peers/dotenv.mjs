// Reads files as npm's dotenv reads them: stdin is a JSON array of base64 texts, stdout one of objects.
import { text } from 'node:stream/consumers';
import dotenv from 'dotenv';

const files = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(files.map((file) => dotenv.parse(Buffer.from(file, 'base64').toString('utf8')))));
