-- The ledger as the prose asks for it: texts, phrases, conditions.
-- What a token may ask for is checked before the render (claimledger.prose.tokens), with the line
-- and the nearest ids that exist; here a token that finds no answer stops the render, no more.
-- One source for Quarto (global `quarto`) and for plain pandoc, whose variable `claimledger` says
-- where the things of a run lie.

local core = {}

-- Each script of the extension loads this file; one table, so that the ledger is read once.
if claimledger_core then return claimledger_core end
claimledger_core = core

core.html = FORMAT:match("html") ~= nil

local said = not quarto and PANDOC_WRITER_OPTIONS.variables.claimledger or {}
function core.setting(name) return said[name] and tostring(said[name]) or nil end

core.root = core.setting("root") or (quarto and quarto.project.directory) or "."

-- Another script of this folder, or a file of it.
function core.script(name)
  return quarto and quarto.utils.resolve_path(name)
    or pandoc.path.directory(PANDOC_SCRIPT_FILE) .. "/" .. name
end
function core.load(name) return dofile(core.script(name .. ".lua")) end

-- Only the paper itself has the cards; in a notebook's page a number is plain text.
if quarto then
  core.input = quarto.doc.input_file or ""
  core.article = not core.input:match("%.ipynb$") and not core.input:match("%.embed")
  core.renderer = "Quarto " .. tostring(quarto.version)
else
  core.input = core.setting("input") or ""
  core.article = core.setting("page") ~= "notebook"
  core.renderer = core.setting("renderer") or "pandoc " .. tostring(PANDOC_VERSION)
end

function core.read(path)
  local file = io.open(path, "r")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

-- Written beside, then renamed: whoever reads meanwhile finds the old text or the new one. True if done.
function core.write(path, text)
  local beside = path .. "." .. pandoc.utils.sha1(text):sub(1, 8) .. ".partial"
  local file = io.open(beside, "w")
  if not file then return false end
  file:write(text)
  file:close()
  return os.rename(beside, path)
end

-- Whether the document is the paper of a project of ours, with its page; any other has its own.
core.own = not quarto or (core.read(core.root .. "/_quarto.yml") or ""):match("\nledger:") ~= nil

function core.exists(name) return core.read(core.root .. "/" .. name) ~= nil end

-- The article and the files that it includes: their names in it, and their paths.
local function article()
  local names = pandoc.List({ pandoc.path.filename(core.input) })
  for name in (core.read(core.input) or ""):gmatch("{{<%s*include%s+(%S+)%s*>}}") do names:insert(name) end
  local folder = pandoc.path.directory(core.input)
  return names, names:map(function(name) return pandoc.path.join({ folder, name }) end)
end

-- The files in which a token may stand: the paper, what it includes, and the executed notebooks.
local function sources()
  local folder = core.setting("notebooks") or core.root .. "/build/notebooks"
  local there, names = pcall(pandoc.system.list_directory, folder)
  names = pandoc.List(there and names or {}):filter(function(name) return name:match("%.ipynb$") end)
  names:sort()
  local _, paths = article()
  return paths .. names:map(function(name) return pandoc.path.join({ folder, name }) end)
end

-- The words of the paper, by which its commit can be found: SHA-1 over the name and the git object
-- of the article and of each file that it includes (claimledger.replication.elsewhere does the same).
function core.words()
  local names, paths = article()
  local lines = names:map(function(name, place)
    local text = core.read(paths[place]) or ""
    return name .. " " .. pandoc.utils.sha1("blob " .. #text .. "\0" .. text) .. "\n"
  end)
  return pandoc.utils.sha1(table.concat(lines))
end

-- Where a pattern stands: "paper.qmd:12, 40".
local function positions(pattern)
  local found = pandoc.List()
  for _, path in ipairs(sources()) do
    local lines, number = {}, 0
    for line in ((core.read(path) or "") .. "\n"):gmatch("(.-)\n") do
      number = number + 1
      -- A notebook is JSON: quotation marks stand escaped in it.
      if line:gsub('\\"', '"'):find(pattern) then table.insert(lines, tostring(number)) end
    end
    local name = pandoc.path.make_relative(path, core.root)
    if #lines > 0 then found:insert(name .. ":" .. table.concat(lines, ", ")) end
  end
  return #found > 0 and table.concat(found, "; ") or nil
end

-- Lua patterns in which every character of `text` stands for itself.
local function literal(text) return (text:gsub("%p", "%%%0")) end
core.literal = literal

-- Stop the render with the parts of a LedgerError (claimledger.errors): the embedded renderer reads
-- them from a file. In Quarto the function `error` only writes a line and goes on, so the process itself
-- must end.
local function stop(where, found, expected, mend)
  local complaint = core.setting("complaint")
  if complaint then
    core.write(complaint, pandoc.json.encode({ where = where, found = found, expected = expected or "", mend = mend or "" }))
    error(found, 0)
  end
  io.stderr:write("ERROR: ", where, "\n  found:    ", found, expected and "\n  expected: " .. expected or "",
    mend and "\n  to mend:  " .. mend or "", "\n")
  os.exit(1)
end

-- `pattern` finds the place in the sources; `detail` narrows it to the word that is wrong.
function core.fail(pattern, found, expected, mend, detail)
  local where = detail and positions(pattern .. ".*" .. literal(detail)) or positions(pattern)
  stop(where or pandoc.path.filename(core.input), found, expected, mend)
end

function core.escape(text)
  return (tostring(text):gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

function core.keys(map)
  local names = {}
  for key in pairs(map or {}) do table.insert(names, key) end
  table.sort(names)
  return names
end

-- A JSON null comes as a light userdata: to the reader it is nothing.
function core.given(value)
  if value == nil or type(value) == "userdata" then return nil end
  return value
end

-- Whether the texts of an entry are texts, by field, and its verdicts a list of words.
local function shaped(entry)
  if type(entry) ~= "table" then return false end
  for _, key in ipairs({ "text", "verdicts" }) do
    local part = core.given(entry[key]) or {}
    if type(part) ~= "table" then return false end
    for _, word in pairs(part) do
      if type(word) == "number" or type(word) == "table" then return false end
    end
  end
  return true
end

core.SCHEMA = 1 -- the newest form of a ledger that this extension reads
local store
function core.ledger()
  if store then return store end
  local own = "/results/ledger.json"
  core.path = core.setting("ledger") or core.root .. (core.exists(own) and own or "/ledger.json")
  core.json = core.read(core.path)
  if not core.json then
    stop(core.path, "no file", "the ledger of results, here or in results/", "write it, or have it written: claimledger build")
  end
  local read, found = pcall(pandoc.json.decode, core.json, false)
  if not read or type(found) ~= "table" or type(found.entries) ~= "table" then
    stop(core.path, found == nil and "no JSON" or "no `entries`", "JSON with `entries`, by id")
  end
  local schema = core.given(found.schema)
  if type(schema) == "number" and schema > core.SCHEMA then
    stop(core.path, ("schema %d"):format(schema), core.SCHEMA .. ", or older", "take the extension of the engine that wrote it")
  end
  for id, entry in pairs(found.entries) do
    if not shaped(entry) then
      stop(core.path, ("entry `%s` of another form"):format(id), '"text": {"est": "4.1"}, "verdicts": ["supported", "refuted"]')
    end
  end
  store = found
  return store
end

-- What the ledger says of itself; a ledger written by hand may say nothing.
function core.header() return core.given(core.ledger().header) or {} end

function core.entry(id, pattern)
  local entry = core.ledger().entries[id]
  if entry then return entry end
  core.fail(pattern, ("no entry `%s` in the ledger"):format(id), "an id of the ledger")
end

function core.text(id, field)
  local asked = field == "est" and "[%s>]" or "%s+" .. literal(field)
  local pattern = "num%s+" .. literal(id) .. asked
  local text = core.given(core.entry(id, pattern).text) or {}
  if text[field] then return text[field] end
  core.fail(pattern, ("entry `%s` has no text `%s`"):format(id, field),
    "one of " .. table.concat(core.keys(text), ", "))
end

-- Every word must be a verdict that the entry can have: else a block or phrase could never show.
local function verdict(id, words, pattern)
  local entry = core.entry(id, pattern)
  local possible = pandoc.List(core.given(entry.verdicts) or {})
  if #possible == 0 or not core.given(entry.verdict) then
    core.fail(pattern, ("entry `%s` has no verdict"):format(id), "an entry with a decision")
  end
  for _, word in ipairs(words) do
    if not possible:includes(word) then
      core.fail(pattern, ("`%s` is no verdict of `%s`"):format(word, id),
        "one of " .. table.concat(possible, ", "), nil, word)
    end
  end
  return entry.verdict
end

-- The phrase for the verdict that came out: typed, of a named set, or the verdict's own name.
function core.phrase(id, name, phrases)
  local pattern = "says%s+" .. literal(id) .. "[%s>]"
  local came = verdict(id, core.keys(phrases), pattern)
  local named = name and core.given((core.given(core.ledger().phrases) or {})[name])
  if name and not named then
    core.fail(pattern, ("no set of phrases `%s`"):format(name), "one of `_quarto.yml`: ledger: phrases")
  end
  local own = not name and next(phrases) == nil and came or nil
  local phrase = phrases[came] or (named and core.given(named[came])) or own
  if phrase then return phrase, came end
  core.fail(pattern, ("no phrase for the verdict `%s` of `%s`"):format(came, id), "a phrase for each verdict")
end

-- Which members of a set have a verdict; a phrase may be typed for all, some or none of them.
function core.members(set, word, phrases)
  local id = set .. "." .. word
  local pattern = "members%s+" .. literal(set) .. "%s+" .. literal(word) .. "[%s>]"
  local came = verdict(id, core.keys(phrases), pattern)
  local members = (core.given(core.entry(id, pattern).text) or {}).members
  if not members then core.fail(pattern, ("`%s` is no set with members"):format(id), "{{< members SET VERDICT >}}") end
  return phrases[came] or members, came, id
end

-- Whether all conditions hold: { id = "verdict verdict", ... }, several verdicts meaning any.
function core.holds(conditions)
  local result, count = true, 0
  for id, words in pairs(conditions) do
    local list = pandoc.List()
    for word in words:gmatch("%S+") do list:insert(word) end
    result = list:includes(verdict(id, list, literal(id) .. "%s*=")) and result
    count = count + 1
  end
  if count == 0 then
    core.fail("%.when[%s}]", "a .when without a condition", '{.when ID="verdict"}')
  end
  return result
end

-- A token stands in a text for what is put in its place later: a shortcode, or words set aside.
core.OPEN = utf8.char(0xE000)
core.TOKEN = core.OPEN .. "(%d+)" .. utf8.char(0xE001)
function core.token(number) return core.OPEN .. number .. utf8.char(0xE001) end

-- The inlines of a string with an answer for each token in it; nil without one.
function core.replaced(str, answer)
  local text = str.text
  if not text:find(core.OPEN, 1, true) then return nil end
  local out, at = pandoc.Inlines({}), 1
  while true do
    local first, last, number = text:find(core.TOKEN, at)
    local before = text:sub(at, (first or 0) - 1)
    if before ~= "" then out:insert(pandoc.Str(before)) end
    if not first then return out end
    out:extend(answer(tonumber(number)))
    at = last + 1
  end
end

-- What a number or a verdict becomes: a link to its card in the paper's page, else plain text. The
-- attribute says which text or verdict was asked for, so that a page can be checked by itself.
-- Where the text is parsed for all formats, the filter of each makes it of a span.
function core.claim(id, inlines, class, key, asked)
  if FORMAT == "json" then return pandoc.Inlines({ core.stated(id, inlines, class, key, asked) }) end
  if not (core.html and core.article) then return inlines end
  local attr = pandoc.Attr("", { "claim", class }, { [key] = asked })
  return pandoc.Inlines({ pandoc.Link(inlines, "#claim-" .. id, "", attr) })
end

function core.stated(id, inlines, class, key, asked)
  return pandoc.Span(inlines, pandoc.Attr("", { "stated" }, { claim = id, as = class, key = key, asked = asked }))
end

return core
