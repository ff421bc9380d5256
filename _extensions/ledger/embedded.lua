-- What Quarto does after parsing and plain pandoc does not: numbered and cross-referenced figures,
-- tables and sections, callouts. All after the extension's own filter, which comes first.

local function script(name) return dofile(pandoc.path.directory(PANDOC_SCRIPT_FILE) .. "/" .. name .. ".lua") end
local core, draw, tables = script("core"), script("draw"), script("tables")
local frame, jats, word = script("page"), script("jats"), script("word")
local html, typst, xml = FORMAT:match("html") ~= nil, FORMAT == "typst", FORMAT:match("jats") ~= nil
local page = not core.article
local text_of = pandoc.utils.stringify

-- Numbers ------------------------------------------------------------------------------------

local names = { fig = "Figure", tbl = "Table", sec = "Section" }
local counts, sections, numbered = { fig = 0, tbl = 0 }, { 0, 0, 0, 0, 0, 0 }, {}

local function kind_of(label) return label:match("^(%a+)%-") end

local function count_exhibit(el)
  local kind = kind_of(el.identifier)
  if counts[kind] and not numbered[el.identifier] then
    counts[kind] = counts[kind] + 1
    numbered[el.identifier] = tostring(counts[kind])
  end
end

local function count_section(header)
  if header.classes:includes("unnumbered") then
    numbered[header.identifier] = ""
    return nil
  end
  for level = header.level + 1, 6 do sections[level] = 0 end
  sections[header.level] = sections[header.level] + 1
  numbered[header.identifier] = table.concat(sections, ".", 1, header.level)
end

local count = {
  traverse = "topdown",
  Meta = draw.read_titles,
  Header = count_section, Div = count_exhibit, Figure = count_exhibit, Table = count_exhibit,
}

-- Exhibits -----------------------------------------------------------------------------------

local function caption_of(id, inlines)
  local caption = pandoc.Inlines({})
  if not page then
    local label = names[kind_of(id)] .. "\u{a0}" .. numbered[id] .. ":"
    local bold = pandoc.Strong(pandoc.Inlines({ pandoc.Str(label) }))
    caption:extend({ FORMAT == "docx" and word.label(names[kind_of(id)], numbered[id]) or bold, pandoc.Space() })
  end
  caption:extend(inlines)
  caption:extend(draw.note(id))
  return caption
end

local function raw(text) return pandoc.RawBlock(html and "html" or "typst", text) end

local function html_exhibit(id, kind, caption, body)
  local head = pandoc.Blocks({ raw(('<figcaption id="%s-caption">'):format(id)), pandoc.Plain(caption), raw("</figcaption>") })
  local out = pandoc.Blocks({ raw(('<figure id="%s" class="exhibit %s">'):format(id, kind)) })
  if kind == "tbl" then out:extend(head) end
  out:extend(body)
  if kind == "fig" then out:extend(head) end
  out:insert(raw("</figure>"))
  return out
end

-- A float goes where the page has room. In an appendix, which is all exhibits, each stays where it
-- is; a tall table does so everywhere and breaks over pages.
local appendix = false

local function typst_exhibit(id, kind, caption, body)
  local tall = false
  body:walk({ Table = function(tab) tall = tall or tables.fit(tab) end })
  local open = ("#figure(kind: %s, placement: %s, supplement: none, numbering: none, caption: [")
    :format(kind == "fig" and "image" or "table", (tall or appendix) and "none" or "auto")
  local label = ("<%s>"):format(id)  -- within a table's caption: a link to a float leads elsewhere
  local out = pandoc.Blocks({ raw(open .. (kind == "tbl" and "#metadata(none) " .. label or "")),
    pandoc.Plain(caption), raw("])[") })
  out:extend(body)
  out:insert(raw("] " .. (kind == "fig" and label or "")))
  if appendix and not tall then
    out:insert(1, raw("#block(breakable: false, above: 1.6em, below: 1.6em)["))
    out:insert(raw("]"))
  end
  return out
end

local function show(id, caption, body)
  if xml then return jats.exhibit(id, kind_of(id), names[kind_of(id)] .. " " .. numbered[id], caption, body) end
  local make = html and html_exhibit or typst and typst_exhibit or word.exhibit
  return make(id, kind_of(id), caption_of(id, caption), body)
end

-- The wording of alt texts: an attribute `alt` of the picture, else its description in brackets.
local function described(image)
  local alt = image.attributes.alt or image.attributes["fig-alt"]
  if alt then image.caption, image.attributes.alt = pandoc.Inlines(alt), nil end
  if image.src:match("^https?:") then
    core.fail(core.literal(image.src), "a picture from the network", "a file of the project")
  end
  if not image.src:match("%.%w+$") then image.src = image.src .. (FORMAT == "docx" and ".png" or ".svg") end
  if xml then return jats.picture(image.src:gsub("^cells/", "figures/"), text_of(image.caption)) end
  if typst then
    local quoted = text_of(image.caption):gsub('["\\]', "\\%0")
    return pandoc.RawInline("typst", ('#image("%s", alt: "%s")'):format(image.src, quoted))
  end
  if html then frame.drawn(image) end
  return image
end

-- A div with a figure's or table's label: its last paragraph is the caption, as in Quarto.
local function div(el)
  local kind = kind_of(el.identifier)
  if not counts[kind] then return nil end
  local body, caption = el.content, pandoc.Inlines({})
  if #body > 1 and (body[#body].t == "Para" or body[#body].t == "Plain") then
    caption = body:remove(#body).content
  end
  return show(el.identifier, caption, body)
end

local function figure(el)
  local kind = kind_of(el.identifier)
  if not counts[kind] or FORMAT == "docx" then return nil end
  return show(el.identifier, pandoc.utils.blocks_to_inlines(el.caption.long), el.content)
end

-- Callouts -----------------------------------------------------------------------------------

local function callout(el)
  local sort = el.classes:find_if(function(class) return class:match("^callout%-") end)
  if not sort then return nil end
  local title = el.attributes.title and pandoc.Inlines(el.attributes.title)
  if not title and el.content[1] and el.content[1].t == "Header" then
    title = el.content:remove(1).content
  end
  title = title or pandoc.Inlines((sort:sub(9):gsub("^%l", string.upper)))
  if xml then return jats.callout(title, el.content) end
  return frame.callout(sort:sub(9), title, el.content)
end

-- References ---------------------------------------------------------------------------------

local function reference(one, label)
  local number, kind = numbered[label], kind_of(label)
  local place = "@" .. core.literal(one.attributes.label)
  if not number then
    local known = {}
    for id in pairs(numbered) do if kind_of(id) == kind then table.insert(known, "@" .. id) end end
    table.sort(known)
    core.fail(place, "no " .. names[kind]:lower() .. " '" .. label .. "'",
      #known > 0 and "one of " .. table.concat(known, ", ") or "a label")
  elseif number == "" then
    core.fail(place, "@" .. label .. ": an unnumbered section", "a numbered one",
      "write [its name](#" .. label .. ")")
  end
  local text = one.attributes.form == "bare" and number or names[kind] .. "\u{a0}" .. number
  if #one.content > 0 then text = text_of(one) .. "\u{a0}" .. number end
  if xml then return jats.reference(text, label, kind) end
  return pandoc.Link(pandoc.Inlines({ pandoc.Str(text) }), "#" .. label, "", pandoc.Attr("", { "xref" }))
end

local function references(span)
  if not span.classes:includes("crossref") then return nil end
  local out = pandoc.Inlines({})
  for index, one in ipairs(span.content) do
    local label = one.attributes.label:gsub("^%u", string.lower)
    if index > 1 then out:extend({ pandoc.Str(","), pandoc.Space() }) end
    out:insert(page and pandoc.Str(label) or reference(one, label))
  end
  return out
end

-- Headings, mathematics, tables --------------------------------------------------------------

local function heading(header)
  if typst then return frame.stated(header) end
  header.attributes.status = nil
  if not html then return nil end
  header.level = math.max(2, header.level + (page and 0 or 1))
  return header
end

-- PDF/UA wants words for a formula: its TeX source.
local function formula(math)
  local set = pandoc.write(pandoc.Pandoc({ pandoc.Plain({ math }) }), "typst"):gsub("%s+$", "")
  local quoted = math.text:gsub('["\\]', "\\%0")
  return pandoc.RawInline("typst", ('#math.equation(alt: "%s", block: %s, %s)'):format(
    quoted, tostring(math.mathtype == "DisplayMath"), set:gsub("^%$%s*", "$"):gsub("%s*%$$", "$")))
end

return pandoc.List(script("filter")) .. {
  { Math = typst and formula or nil, Image = described, Div = callout },
  count,  -- after the callouts: a callout's heading is no section
  { traverse = "topdown", Span = references, Table = frame.table },
  {
    traverse = "topdown", Div = div, Figure = figure,
    Header = function(header)
      appendix = header.classes:includes("appendix-section") or appendix and header.level > 1
      return heading(header)
    end,
  },
}
