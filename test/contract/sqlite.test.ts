import sqlite from './sqlite.ts';
import { contract } from './suite.ts';

contract('SQLite', sqlite);
