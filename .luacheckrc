std = "lua54"
max_line_length = 120
exclude_files = { "build/**", "node_modules/**" }
files["lua/athanore/_meta"] = { ignore = { "111", "112", "113", "121", "122", "131", "211", "212", "241", "631" } }
