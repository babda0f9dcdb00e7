"""The grammar of the made sentences: templates of news of several kinds, with slots for names and words.

`{a|b}` is a choice, `[a]` is left out half of the time, `<slot>` is filled as SLOTS says. Spaces separate words. Training,
validation and test share no template.
"""

TRAIN = """
<club> beat <club> <goals> - <goals> [in the <cup>] [on <day>] .
<club> {drew|lost} <goals> - <goals> {at home to|away to|against} <club> .
<per> scored {twice|the winner|a late goal|<n> goals} for <club> {against <club>|on <day>|in <city>} .
<club> striker <per> will miss the {match|trip|game} {in <city>|against <club>} [with a knee injury] .
<nat> champion <per> won the <cup> {on <day>|for the <ord> time} .
<per> of <country> {beat|defeated|overcame} <nat> <last> <goals> - <goals> , <goals> - <goals> .
<per> ( <country> ) <n> points
<n> . <per> ( <country> ) <n>:<n>
<club> <goals> <club> <goals>
<club> coach <per> said his {players|side|team} had been {tired|lucky|too slow} .
Injured defender <last> has signed for <club> from <club> {for <n> million dollars|on loan} .
<country> {meet|face} <country> in the <cup> {final|semifinal} {in <city>|on <day>} .
The {match|final} between <club> and <club> was {abandoned|called off} because of {rain|fog|snow} .
{Shares in|Stock of} {<firm>|<brand>} {rose|fell|jumped|slid} <n> percent {on <day>|in <city> trading|after the results} .
<firm> {said|announced} [on <day>] it would {close|sell|open} its {plant|factory|office} in <city> .
<firm> shares fell after <nat> rival <brand> cut its {prices|forecast} .
<brand> chief executive <per> {resigned|stepped down|denied the report} [on <day>] .
<firm> of <country> has {bought|sold} <n> percent of <firm> .
The <nat> {currency|market|bond} {rose|fell|was steady} {against the dollar|on <day>} .
<firm> {reported|posted} a {profit|loss} of <n> million dollars [for the {first|third} quarter] .
{Analysts|Traders} at <firm> {expect|see} {lower|higher} {prices|rates} .
<city> - <firm> , the <nat> {maker|supplier} of {steel|paper|cars|shoes} , {hired|named} <per> as {chairman|director} .
{Unions|Workers} at the <city> plant of <brand> {voted|are voting} on a {strike|new contract} .
<brand> and <brand> are in talks about a {merger|joint venture} , <paper> reported .
A spokesman for <firm> {declined to comment|was not available} .
{Prime Minister|President|Foreign Minister} <per> {met|received|spoke to} <nat> {President|counterpart} <per> [in <city>] .
{President|Senator|Governor} <last> {visited|arrived in|left} <city> {on <day>|for talks} .
The {government|parliament} of <country> {approved|rejected|debated} the <deal> [on <day>] .
<party> leader <per> {called for|ruled out} {early elections|a recount|new talks} .
The <party> won <n> seats in <region> , {officials|the <paper>} said .
<nat> {troops|soldiers|police} {crossed|closed|left} the border with <country> {on <day>|at dawn} .
<country> {and <country>|} signed the <deal> {in <city>|last <month>} .
<country> {accused|blamed} <country> {of|for} {the attack|breaking the <deal>} .
{Thousands|Hundreds} {marched|protested} in {<city>|<city> and <city>} against {the <nat> government|President <last>} .
<body> {inspectors|officials} {reached|left} <city> {on <day>|after <n> days} .
<body> said {the crisis in|aid for} <region> {was worse|would arrive} {than feared|on <day>} .
{Former minister|Mayor|Judge} <per> was {arrested|acquitted|sentenced} {in <city>|on <day>} .
{Police|Detectives} in <city> are {questioning|looking for} <per> , <n> , {after|about} {a robbery|the fire} .
{Fire|Floods|A storm} {destroyed|damaged} {a market|<n> houses} in <city> , <country> .
An earthquake {shook|hit} <region> {in <country>|on <day>} ; {nobody was hurt|<n> people died} .
A {train|bus|ferry} from <city> to <city> {crashed|derailed|sank} [on <day>] .
The {river|road|border} {near|at} <city> was {closed|flooded} [in <month>] .
<per> , {a|the} <nat> {writer|singer|painter} , {won|was given} the <prize> [in <year>] .
{Scientists|Researchers|Doctors} at <school> {found|think} that {coffee|sleep|cold water} {helps|harms} {memory|the heart} .
<school> professor <per> {said|wrote} in <paper> that {prices|rates} would {rise|fall} .
<per> {was born|died} in <city> in <year> .
<per> {studied|taught} {law|history|chemistry} at <school> .
The <war> {began|ended} in <year> .
A {film|book|play} about the <war> {opens|opened} in <city> {on <day>|in <month>} .
<last> {told|said to} <paper> {that he was innocent|he would not resign} .
{" We are ready , "|" It is over , "} {said <per>|<last> said} [of <firm>] .
<per> and <per> {will play|play|meet} in the {second|third} round of the <cup> .
<region> {exports|sells} {oil|wheat|gas} to <country> {and <country>|} .
The <nat> {embassy|consulate} in <city> {reopened|was evacuated} [on <day>] .
<per> {joined|left|founded} <firm> in <year> .
<paper> said <brand> would {cut|add} <n> jobs in <country> .
{The|A} <nat> court {fined|cleared} <brand> [on <day>] .
<body> and <country> {agreed|failed to agree} on the <deal> .
He {moved|flew|returned} {from <city>|} to <city> {in <year>|last <month>} .
She is the {first|only} <nat> to win the <prize> .
They {spoke|met} for <n> hours {in <city>|on <day>} .
The {price|cost} of {apples|oranges|oil|bread} {rose|fell} <n> percent in <month> .
{Talks|The hearing} will {resume|continue} on <day> .
It was the {worst|second} {storm|fire|strike} in <n> years .
{The chairman|The minister|A witness} {said|added} that {no one|nobody} had been {told|asked} .
{Rain|Snow} is expected {on <day>|in the north} .
Results of the <cup> {on <day>|} :
Standings : <club> <n> , <club> <n> , <club> <n>
<city> <year>-<n>-<n>
The bank {raised|cut|kept} {rates|its forecast} on <day> .
Trading was {thin|quiet} before the holiday .
"""

VALIDATION = """
A goal by <last> gave <club> {victory|a point} over <club> .
<club> goalkeeper <per> saved a penalty as the side held <club> .
There were <n> yellow cards when <club> visited <club> .
After a win over <country> , <country> top the group .
<last> , who plays for <club> , {is|was} out for <n> weeks .
Fans of <club> {clashed|sang} outside the ground in <city> .
Only <per> finished ahead of the <nat> at the <cup> .
<club> sacked <per> after losing to <club> [in <month>] .
{Second|Third} was <per> from <country> in <n>:<n> .
The takeover of <firm> by <brand> has been {blocked|delayed} , according to <paper> .
Profits at <brand> more than doubled last <month> .
<brand> will build cars in <country> together with <firm> .
Investors {sold|dumped} <firm> and bought <nat> bonds .
<per> , who runs <firm> , {earned|was paid} <n> million dollars .
At <firm> in <city> , <n> people lost their jobs .
Lawyers for <brand> are to appear before a <nat> judge .
In a letter to <last> , the <party> demanded new elections .
<per> of the <party> became governor of <region> .
Relations between <country> and its neighbour <country> have cooled since the <deal> .
Rebels from <region> attacked a convoy of <body> .
The next summit takes place in <city> , <last> {said|confirmed} .
Neither <last> nor <last> would {confirm|deny} the story in <paper> .
<nat> and <nat> ministers flew home without a deal .
{Aid workers|Diplomats} from <country> were stopped on the way to <city> .
Under the <deal> , <body> may visit {camps|prisons} in <region> .
Heavy fighting was heard around <city> , a witness told <paper> .
The car of <per> was found near <city> .
Two men from <city> stole a painting by <last> .
Temperatures in <city> and <city> reached <n> degrees .
Ships carrying wheat for <country> waited off <region> .
Her novel about the <war> brought <per> the <prize> .
According to <school> , where <per> works , the drug is safe .
A student of <school> , <per> , translated the poems .
Veterans of the <war> gathered in <city> .
<per> married the <nat> actor <per> .
Visitors from <country> need no visa , the <nat> ministry said .
<last> was {head|director} of <body> until <year> .
At the age of <n> <per> {wrote|painted} for <paper> .
Who will follow <last> at <firm> is {open|not known} .
The strike at <brand> entered its <ord> day .
None of the passengers was hurt .
Nobody knows why the oranges were not sold .
The minister gave no date for the vote .
A decision is due before the end of <month> .
The {shell|target|crown|anchor} was found on the beach .
Doctors advise rest and plenty of water .
<city> newsroom , <n> <n> <n>
"""

TEST = """
<club> and <club> shared the points after <last> {missed|hit the bar} late on .
<last> headed <club> {in front|level} after <n> minutes .
<club> captain <per> was sent off {against <club>|in <city>} .
Two goals from <per> kept <club> top of the table .
<country> will host the <cup> {next year|in <month>} .
<nat> teenager <per> is through to the quarter-finals of the <cup> .
Thousands travelled from <city> to see <club> lose to <club> .
<club> {paid|want} <n> million pounds for midfielder <per> .
Play at the <cup> was held up by rain until <day> .
<per> ran the fastest <nat> mile of the year in <city> .
Scorers : <last> ( <club> ) , <last> ( <club> )
Customers of <firm> {are owed|may claim} <n> million dollars .
The {collapse|sale} of <firm> cost <city> <n> jobs .
<brand> has {hired|lured} <per> from <firm> .
A {tribunal|jury} in <city> ordered <brand> to pay <firm> <n> million dollars .
Demand in <country> helped <firm> , its founder <per> {wrote|explained} .
Both <brand> and <firm> {dropped out of|entered} the bidding .
The <nat> central bank {lent|sold} <n> million dollars {to <firm>|on <day>} .
Steel from <country> now costs more in <region> .
<firm> , founded in <city> in <year> , makes {engines|radios|bicycles} .
Staff at <brand> walked out {on <day>|in <city>} .
<last> {beat|defeated} the <party> candidate in <region> by <n> votes .
Voters in <country> turned against the <party> {in <month>|over prices} .
<per> came back to <city> as {ambassador|envoy} of <country> .
The <deal> was broken by <country> , diplomats from <region> {say|claim} .
Neither <country> nor <body> sent anyone to <city> .
A <nat> patrol fired on fishermen off <region> .
<body> has chosen <per> as its next {head|secretary} .
Ministers of <country> , <country> and <country> {dined|conferred} in <city> .
" <last> must go , " wrote <paper> .
The <nat> premier , <per> , {fell ill|is due home} {on <day>|in <city>} .
Under pressure from <body> , <country> freed <n> <nat> prisoners .
Guards at the palace in <city> let <last> pass .
Refugees from <region> {slept|waited} in churches in <city> .
Divers searched the lake near <city> for <per> .
A bomb {went off|lay} outside the offices of <paper> in <city> .
Snow cut off <n> villages in <region> .
<last> , a {driver|cook} from <city> , denied stealing the car .
The bridge between <city> and <city> is {unsafe|closed to lorries} .
<per> left <school> without a degree in <year> .
Students from <school> {dug up|found} coins from the <war> .
The <prize> went to <per> {for a poem about <city>|of <country>} .
Letters that <per> sent home during the <war> were {sold|burnt} in <city> .
<school> and <school> will share the <prize> .
<paper> has a new editor , <per> .
A <nat> choir sang in <city> on <day> .
Nobody was at home when the kitchen caught fire .
Apples and bread {hardly cost more|were cheaper} in <month> .
The {standard|general|diamond|eagle} was lost at sea .
It will be dry and {warm|cold} until <day> .
<n> of the men are still missing .
Every vote will be counted again .
<city> bureau , <day>
"""

# What fills each slot: the type of the entity ("O" for words that are none) and the forms that are drawn with equal
# probability. {city} stands for a name of that kind, {first[0]} for a first name's initial.
SLOTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "day": ("O", ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")),
    "month": (
        "O",
        tuple("January February March April May June July August September October November December".split()),
    ),
    "ord": ("O", ("first", "second", "third", "fourth", "fifth", "tenth")),
    "n": ("O", ("2", "3", "4", "6", "7", "12", "15", "21", "30", "47", "80")),
    "goals": ("O", ("0", "0", "1", "1", "2", "3", "4")),
    "year": ("O", tuple(map(str, range(1890, 2000)))),
    "city": ("LOC", ("{city}",)),
    "country": ("LOC", ("{country}",)),
    "region": ("LOC", ("{region}",)),
    "per": ("PER", ("{first} {last}", "{first} {last}", "{known}", "{first[0]}. {last}")),
    "last": ("PER", ("{last}",)),
    "nat": ("MISC", ("{nat}",)),
    "war": ("MISC", ("{war}",)),
    "cup": ("MISC", ("{city} Open", "{nat} Open", "{last} Cup", "Tour of {region}", "{city} Marathon")),
    "prize": ("MISC", ("{last} Prize", "{nat} Book Award", "{last} Medal", "Order of {region}")),
    "deal": ("MISC", ("{city} Treaty", "{city} Accord", "{last} Act", "Treaty of {city}")),
    "club": ("ORG", ("{city}", "{city}", "{city} United", "{city} City", "Real {city}", "{city} Rovers")),
    "firm": (
        "ORG",
        (
            "{last} & {last}",
            "{last}",
            "{last} Group",
            "{city} Steel",
            "{brand} Holdings",
            "Bank of {city}",
            "{last} Brothers",
            "{nat} Airways",
        ),
    ),
    "brand": ("ORG", ("{brand}",)),
    "school": ("ORG", ("University of {city}", "{city} University", "{last} College", "{city} Institute")),
    "paper": ("ORG", ("{city} Times", "{city} Post", "{nat} Herald", "{city} Radio", "Reuters")),
    "party": ("ORG", ("{nat} Labour Party", "{country} First", "{region} Front", "Green Party", "Liberals")),
    "body": (
        "ORG",
        ("United Nations", "Red Cross", "{nat} Red Crescent", "Council of {region}", "NATO", "UNICEF"),
    ),
}
