-- What the ledger puts on the page by itself: the list of entries behind the cards,
-- the colophon, the deviations, and the link from an exhibit to its notebook cell.

local core = claimledger_core
if claimledger_draw then return claimledger_draw end
local draw = {}
claimledger_draw = draw
local given, escape = core.given, core.escape
local UNDATED = 315532800 -- 1 January 1980: what a paper without a date is rendered at, for equal bytes

local DIGITS, ALL = 4, 10 -- significant digits that people read, and those that the ledger keeps

-- A number with a real minus sign.
local function number(value, digits)
  if type(value) ~= "number" then return tostring(value) end
  local text = math.type(value) == "integer" and tostring(value) or ("%%.%dg"):format(digits or DIGITS):format(value)
  return (text:gsub("^-", "−"):gsub("e%-", "e−"))
end

local function probability(p) return type(p) == "number" and p < 0.001 and "< .001" or number(p, 3) end

local function interval(pair, level, places)
  local text = ("[%s, %s]"):format(number(pair[1], places), number(pair[2], places))
  return level and ("%s (%g %%)"):format(text, level * 100) or text
end

-- All digits of what was rounded.
local function exact(entry)
  local parts = pandoc.List()
  local function part(name, shown, all) if shown ~= all then parts:insert(name .. " " .. all) end end
  for _, one in ipairs({ { "value", "estimate" }, { "se", "standard error" }, { "statistic", "statistic" },
    { "p", "p", probability }, { "p_adjusted", "corrected p", probability } }) do
    local value = given(entry[one[1]])
    if value then part(one[2], (one[3] or number)(value), number(value, ALL)) end
  end
  local ci = given(entry.ci)
  if ci then part("interval", interval(ci), interval(ci, nil, ALL)) end
  if #parts == 0 then return nil end
  return "<details><summary>show</summary>" .. escape(table.concat(parts, "; ")) .. "</details>"
end

local function corrected(entry)
  local p = given(entry.p) and probability(entry.p)
  local adjusted = given(entry.p_adjusted) and probability(entry.p_adjusted)
  local family = given(entry.family) and " in family " .. tostring(entry.family) or ""
  return p and adjusted and ("%s; corrected%s: %s"):format(p, family, adjusted) or p
end

local function equal(text) return text:match("^<") and text or "= " .. text end

local function equivalence(test)
  local parts = { "bounds ±" .. number(test.bound) }
  if given(test.ci) then table.insert(parts, "interval " .. interval(test.ci)) end
  if given(test.p) then table.insert(parts, "p " .. equal(probability(test.p))) end
  if given(test.p_adjusted) then table.insert(parts, "corrected p " .. equal(probability(test.p_adjusted))) end
  return table.concat(parts, "; ")
end

local function statistic(entry)
  local df = given(entry.df) and (" on %s degrees of freedom"):format(number(entry.df)) or ""
  return number(entry.statistic) .. df
end

local function standing(entry)
  if given(entry.deviation) then return "deviation: " .. entry.deviation end
  if entry.status == "registered" and given(entry.source) then
    return "registered (see the registration of " .. entry.source .. "), run as registered"
  end
  if entry.status == "registered" then return "registered, run as registered" end
  if entry.status == "alternative" then
    return "another analysis of what is registered, as its notebook computed it; not audited"
  end
  if entry.status == "public" then return "a fact of the public record, no answer of the survey" end
  return tostring(entry.status)
end

-- Where a notebook's cell can be read, relative to the paper's page.
function draw.cell(notebook, label)
  return ("build/notebooks/%s-preview.html"):format(notebook) .. (label and "#" .. label or "")
end

local function place(entry)
  local target = draw.cell(entry.notebook, given(entry.cell))
  local name = entry.notebook .. (given(entry.cell) and ", cell " .. entry.cell or "")
  return ('<a href="%s">%s</a>'):format(escape(target), escape(name))
end

local function digits(hash) return tostring(hash):sub(1, 16) .. "…" end

-- The data's origin in words: collected, or simulated in which world from which seed.
local function origin(header)
  local parts = { header.status }
  if given(header.data.world) then table.insert(parts, ("world “%s”"):format(header.data.world)) end
  if given(header.data.seed) then table.insert(parts, "seed " .. number(header.data.seed)) end
  return table.concat(parts, ", ")
end

-- Of an entry from another study: its data, and whether they were at hand.
local function elsewhere(header)
  local when = given(header.recorded) and ("; recorded on %s, not re-run here"):format(header.recorded)
  return ("%s (%s), SHA-256 %s%s"):format(
    header.data.file, origin(header), digits(header.data.sha256), when or "")
end

-- The amendments that touched an entry's analysis, by the registration that it belongs to.
local function amended(entry, registered)
  local said = pandoc.List()
  for _, one in ipairs(registered and given(registered.amendments) or {}) do
    if pandoc.List(given(entry.amended) or {}):includes(one.number) then
      said:insert(("amendment %d of %s touched this analysis: %s (%s)"):format(one.number, one.date, one.what, one.why))
    end
  end
  return table.concat(said, "; ")
end

-- One entry as `<details>`; the id stands inside, so that a link to it opens the row.
local function row(entry)
  local text = given(entry.text) or {}
  local facts = pandoc.List()
  local function fact(name, value, html)
    if value and value ~= "" then
      facts:insert(("<dt>%s<dd>%s"):format(name, html and value or escape(value)))
    end
  end
  local unit = given(entry.unit) and " " .. entry.unit or ""
  fact("Verdict", given(entry.verdict))
  fact("Estimate", given(entry.value) and number(entry.value) .. unit)
  fact("Standard error", given(entry.se) and number(entry.se))
  fact("Interval", given(entry.ci) and interval(entry.ci, given(entry.ci_level)))
  fact("Statistic", given(entry.statistic) and statistic(entry))
  fact("p", corrected(entry))
  fact("Equivalence", given(entry.equivalence) and equivalence(entry.equivalence))
  fact("N", given(entry.n) and number(entry.n))
  fact("Model", given(entry.model))
  fact("Variance", given(entry.vcov))
  fact("Standing", given(entry.status) and standing(entry))
  local other = given(entry.source) and (given(core.header().external) or {})[entry.source]
  fact("Amended", amended(entry, (other or core.header()).registration))
  fact("Data", other and elsewhere(other))
  fact("Notebook", given(entry.notebook) and (core.own and place(entry) or escape(entry.notebook)), true)
  fact("All digits", exact(entry), true)
  return ('<details><summary><code>%s</code> %s <b>%s</b></summary><dl id="claim-%s">%s</dl></details>')
    :format(escape(entry.id), escape(given(entry.label) or ""), escape(text.est or ""),
      escape(entry.id), table.concat(facts))
end

-- The rows of all entries and the ledger itself, safe inside a script element.
function draw.section()
  local ledger = core.ledger()
  local rows = pandoc.List()
  for _, id in ipairs(core.keys(ledger.entries)) do
    ledger.entries[id].id = id
    rows:insert(row(ledger.entries[id]))
  end
  local header = core.header()
  return table.concat({
    '<section id="ledger-entries" class="ledger-entries" aria-labelledby="ledger-title">',
    '<h2 id="ledger-title" class="unnumbered">The ledger</h2>',
    "<p>Every number and verdict above comes from one of these entries.",
    given(header.data) and ("Data: <code>%s</code> (%s), SHA-256 <code>%s</code>."):format(
      escape(header.data.file), escape(origin(header)), digits(header.data.sha256)) or "",
    core.own and "<code>claimledger build --notebook NAME</code> runs one of the notebooks again." or "", "</p>",
    ("<details class=\"all-entries\"><summary>All %d entries</summary>"):format(#rows),
    table.concat(rows, "\n"), "</details>",
    '<script type="application/json" id="ledger">'
      .. core.json:gsub("\n%s*", ""):gsub('([^\\])": ', '%1":'):gsub("<", "\\u003c") .. "</script>",
    "</section>",
  }, "\n")
end

local function short(hash) return pandoc.Code(digits(hash)) end

-- What this very document was made from, as a definition list.
function draw.colophon()
  local header = core.header()
  local items = pandoc.List()
  local function item(term, ...)
    local inlines = pandoc.Inlines({})
    for _, part in ipairs({ ... }) do inlines:extend(pandoc.Inlines(part)) end
    items:insert({ pandoc.Inlines(term), { pandoc.Plain(inlines) } })
  end
  local data, registered, code = header.data, given(header.registration), given(header.code)
  if given(data) then
    item("Data", pandoc.Code(data.file), " (" .. origin(header) .. "), SHA-256 ", short(data.sha256))
  end
  if registered then
    local frozen = given(registered.frozen) and "frozen on " .. registered.frozen .. ", " or ""
    item("Registration", pandoc.Code(registered.file), ", " .. frozen .. "SHA-256 ",
      short(given(registered.first_sha256) or registered.sha256))
    -- The date above is that of the first text; what was changed since has dates and reasons of its own.
    local amendments = given(registered.amendments)
    for _, one in ipairs(type(amendments) == "table" and amendments or {}) do
      local touched = #(one.touched or {}) > 0 and "touches " .. table.concat(one.touched, ", ")
        or #(one.worded or {}) > 0 and "touches no analysis, only words of " .. table.concat(one.worded, ", ")
        or "touches no analysis"
      item(("Amendment %d"):format(one.number), one.date .. ": " .. one.what .. " Why: " .. one.why .. " ("
        .. touched .. "; SHA-256 since then ", short(one.sha256), ")")
    end
  end
  for _, name in ipairs(core.keys(given(header.external))) do
    local other = header.external[name]
    item("Other study", pandoc.Code(name), ": ", pandoc.Code(other.data.file), " (" .. origin(other) .. "), SHA-256 ",
      short(other.data.sha256), given(other.recorded)
        and ("; its data are not in this build, its results are those recorded on %s"):format(other.recorded)
        or "; computed from its data in this build",
      "; registration ", pandoc.Code(other.registration.file), ", frozen on " .. other.registration.frozen
        .. ", SHA-256 ", short(other.registration.sha256))
  end
  item("Words", pandoc.Code(pandoc.path.filename(core.input)), " and what it includes, SHA-1 ", pandoc.Code(core.words()))
  if code then item("Code", "version " .. code.version .. ", SHA-256 ", short(code.sha256)) end
  local packages = pandoc.List({ given(header.python) and "Python " .. header.python })
  for _, name in ipairs(core.keys(given(header.packages))) do
    packages:insert(name .. " " .. header.packages[name])
  end
  if #packages > 0 then item("Software", table.concat(packages, ", ")) end
  if given(header.seed) then item("Seed of the analysis", ("%d"):format(header.seed // 1)) end
  item("Rendered by", core.renderer)
  local epoch = tonumber(quarto and os.getenv("SOURCE_DATE_EPOCH") or core.setting("date"))
  if epoch and epoch > UNDATED then item("Date", os.date("!%Y-%m-%d", epoch)) end
  return pandoc.Blocks({ pandoc.DefinitionList(items) })
end

-- The declared differences between what was registered and what was run.
function draw.deviations()
  local list = given(core.ledger().deviations) or {}
  if #list == 0 then return pandoc.Blocks({ pandoc.Para("No deviation from the registration was declared.") }) end
  local rows = pandoc.List()
  for _, found in ipairs(list) do
    local why = pandoc.Inlines(found.reason or "")
    for _, key in ipairs({ "when", "impact" }) do
      if given(found[key]) then
        why:extend({ pandoc.LineBreak(), pandoc.Emph(key == "when" and "When:" or "Impact:"), pandoc.Space() })
        why:extend(pandoc.Inlines(found[key]))
      end
    end
    -- What was registered and what was run, each with the verdict that it gives.
    local function with(text, verdict)
      local inlines = pandoc.Inlines(text or "")
      if given(verdict) then inlines:extend({ pandoc.LineBreak(), pandoc.Emph(verdict) }) end
      return { pandoc.Plain(inlines) }
    end
    local run = found.recomputed == false and (found.run or "") .. " (not recomputed by the audit)" or found.run
    rows:insert({ { pandoc.Plain({ pandoc.Code(found.id) }) }, with(found.registered, found.verdict_registered),
      with(run, found.verdict_run), { pandoc.Plain(why) } })
  end
  local head = { "Entry", "Registered", "Run", "Why, and what it means" }
  local simple = pandoc.SimpleTable({}, { "AlignLeft", "AlignLeft", "AlignLeft", "AlignLeft" },
    { 0.12, 0.26, 0.26, 0.36 },
    pandoc.List(head):map(function(name) return { pandoc.Plain(name) } end), rows)
  local made = pandoc.utils.from_simple_table(simple)
  made.classes:insert("sized")
  return pandoc.Blocks({ made })
end

local marked = pandoc.List()

-- A span that is marked as an exception, or that states a verdict.
function draw.said(span)
  if span.classes:includes("typed") then
    marked:insert(span)
    return span.content
  elseif span.classes:includes("stated") then
    local said = span.attributes
    return core.claim(said.claim, span.content, said["as"], said.key, said.asked)
  end
end

-- The spans marked as exceptions, each with its reason, once.
function draw.exceptions()
  local items, seen = pandoc.List(), {}
  for _, span in ipairs(marked) do
    local text, reason = pandoc.utils.stringify(span), span.attributes.reason or "no reason given"
    if not seen[text .. "\0" .. reason] then
      seen[text .. "\0" .. reason] = true
      items:insert({ pandoc.Plain(pandoc.Inlines("“" .. text .. "”: " .. reason)) })
    end
  end
  return pandoc.Blocks({ #items > 0 and pandoc.BulletList(items) or pandoc.Para("There are none.") })
end

-- The titles of the notebooks, from the settings of the manuscript.
local titles, stems = {}, pandoc.List()
function draw.read_titles(meta)
  local named = meta.ledger and meta.ledger.notebooks or meta.manuscript and meta.manuscript.notebooks
  for _, book in ipairs(named or {}) do
    local path = pandoc.utils.stringify(book.notebook or book)
    local stem = pandoc.path.split_extension(pandoc.path.filename(path))
    -- Quarto adds the article to the list where it takes a text of ours for a computation.
    if not titles[stem] and path:match("%.ipynb$") then stems:insert(stem) end
    titles[stem] = book.title and pandoc.utils.stringify(book.title) or stem
  end
end

-- All notebooks in reading order, each with the address of its page.
function draw.books()
  return stems:map(function(stem) return { title = titles[stem], href = draw.cell(stem) } end)
end

-- The line under an exhibit's caption: "Notebook: title", a link to its cell.
function draw.note(label)
  local exhibit = given(core.ledger().exhibits) and core.ledger().exhibits[label]
  if not (exhibit and core.html and core.article) then return pandoc.Inlines({}) end
  local title = titles[exhibit.notebook] or exhibit.notebook
  local link = pandoc.Link(pandoc.Inlines(title), draw.cell(exhibit.notebook, label))
  local words = pandoc.Inlines("Notebook:")
  words:extend({ pandoc.Space(), link })
  return pandoc.Inlines({ pandoc.Space(), pandoc.Span(words, pandoc.Attr("", { "exhibit-source" })) })
end

return draw
