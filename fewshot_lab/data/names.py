"""Names for the made sentences of `sentences`, as lists, so that they do not change with a library's version.

The names of people are from the lists of Faker 40.63 (MIT licence) for fifteen countries, with some added that are also a
place, a month or a word.
"""

FIRST_NAMES = tuple(
    """
    Adelardo Adelasia Adweta Aishani Alan Alessia Alexandre Alexandrie Allana Allen Amanda Anastazja Angel Angela Ann
    Annemie Antony Apolonia April Argono Arin Armida Arsenio Art Ashleigh Aurelia Austin Aypar Aysevim Baghyawati Barry
    Ben Bernadette Bhavya Bill Bimala Blessing Bohumil Bohumila Brady Brenda Brent Brijesh Bruna Cager Caio Canal
    Candelaria Caridad Cassidy Cezary Charlotte Charvi Chase Chelsea Claude Clinton Comfort Connor Dallas Dana Daniel
    Daniela Danique Darika Darmanto Darren Dawid Dawn Dennis Desiree Devansh Devon Diane Dilsitan Diya Dorothy Drahoslav
    Drew Dulce Dustin Elizabeth Ellen Elliot Emas Emily Erich Esther Ethan Etta Evde Fabiola Faith Fatinur Flor Florence
    Francesca Frank Frieder Gabriel Gabriella Gabrielle Gada Gael Garry Geoffrey Georgia Giada Giampaolo Gilbert Girindra
    Giuseppe Gloria Grace Graciela Graziella Gustaw Halina Harold Harrison Hasan Henning Herrmann Hope Huban Immo Inga
    Ingolf Irmtrud Jacek Jack Jackie Jairaj Jaswadi Javier Jay Jeannine Joel Jordan Joseph Jozef Juana Judith Judy Juliet
    June Kaja Kamya Kari Karin Katelyn Katie Kevin Kirk Kristie Kurt Lamar Larry Lars Lauren Laurent Leah Leonid Lidia
    Lieke Lily Linda Loretta Luis Luisa Macarena Madhav Madison Malcolm Malena Malik Manan Manon Marcia Margaud Margit
    Mariana Marine Mark Marsudi Martha Maryse Maxwell May Maya Melania Mesut Mirko Morgan Myriam Nathaniel Neha Nicholas
    Ninetta Nura Oda Olgierd Olivier Oswin Paride Paris Patience Paulina Pellegrino Philip Qabil Radka Radoslav
    Raffaellino Rafia Raimundo Rhavi Rhonda Ricarda Richard Rickey Robert Rose Rosl Sabatino Sally Savannah Severiano
    Simon Stefan Sydney Tara Tarak Tecla Terrance Thierry Tina Toni Tracey Tyrone Upkaar Vanda Veis Victoria Vildane
    Virginia Virginie Viridiana Will William Wout Yashica Yasmin Yvonne Zansi Zdislava Zelha Zizi
    """.split()
)
LAST_NAMES = tuple(
    """
    Aalts Abiola Adetokunbo Adeyemi Adkins Agarwal Ahlin Akar Akdeniz Akinwale Alemdar Alexandre Alighieri Allen Alvarez
    Andriani Aparicio Arsoy Aslan Avery Badal Baker Balogun Bank Banks Barajas Barber Barnes Barrett Barry Bava Ben
    Benitez Benthin Benton Beran Berlin Besson Bhakta Bhatia Biggen Bigot Bilge Bilgin Bilir Boers Boeser Boiardo Bolton
    Borra Brady Briemer Broeders Brown Buchanan Bush Cabrera Caccianemico Caetani Cardona Carfagna Carsten Case Castioni
    Castro Chester Chhabra Chukwu Clay Clerc Cochran Colas Collier Columbus Conner Connor Cook Cordier Costa Costela
    Cusano Davidson Dawson Decker Delannoy Demir Demmendaal Dennis Derby Dickerson Donaire Duffy Dulbecco Dumont Durand
    Durdu Dyal Eelman Ehlert Eimer Ekwueme Eraslan Escobar Estrada Evrard Eze Fabrizi Farrell Fernandes Fibonacci Field
    Filogamo Fiol Fitzpatrick Flor Fonseca Ford Fowler Frost Fuller Gaba Gaillard Garcia Gardiner Garibaldi Gautier Gaya
    Gerlach Gilbert Gillet Gilmore Giolitti Gisbert Goddard Golla Gomes Gonzalez Goodman Gray Greene Griffin Grover
    Guillou Gunarto Gute Guyon Hallin Hamilton Handayani Haro Harrison Hartmann Haryanto Hasan Haynes Heath Heinrich Heinz
    Hellberg Hendricks Hendrix Henningsson Hernando Herrera Herrmann Hettner Heymans Hofmann Holland Holmes Holub Horton
    Houston Howells Huet Hult Hurtado Hussain Ibrahim Jackson Janda Johann Kadlec Kapur Karadeniz Karge Kari Kelley Kent
    Khanna Khatri Khurana King Kirk Kline Knutsson Kobelt Kumar Kusumo Lacombe Lamb Lambert Lancaster Larsson Laurent Law
    Lees Lefort Lehmann Leonetti Lettiere Levesque Lin Lincoln Lindell Little Liu Ljung Lloret London Lord Losekann
    Lucciano Lundkvist Lyons Macedo Mach Macias Madden Maestre Magar Majewski Malmgren Mancebo Mander March Mardhiyah
    Marpaung Marshall Martel Marti Mathews Mathurin Mattarella Maxwell May Mcintyre Mclean Megantara Mellor Mende Mendes
    Mendoza Middleton Mielcarek Miller Millet Minhas Monteiro Moore Moraes Morgan Murillo Musil Mutti Napitupulu Naser
    Naylor Nelson Nnamani Noble Nordlander Notarbartolo Obasanjo Obi Oda Ogunleye Ojo Okafor Okonkwo Olawale Oliboni
    Olivier Oshodi Ottino Oyekan Paffrath Page Pal Palomino Pangestu Pardo Parkinson Parks Paruta Patil Pau Peixoto Pera
    Perales Perck Pereira Peronne Petitjean Phelps Phillips Piccinni Pinamonte Pineda Pinedo Pires Pizzo Poirier Ponce
    Potts Prabowo Prats Preston Price Prince Pritchard Proietti Prokop Pruschke Radisch Rahmawati Rajagopalan Rama Ramos
    Rana Randolph Rastogi Ratta Recer Reising Requena Ribeiro Rice Richmond Riddle Riehl Rios Rivera Roero Rohleder Sachar
    Salazar Salinas Sarma Savage Saxena Schilt Schlosser Schottin Schwartsbach Sellers Seshadri Seven Shaffer Sharaf Sharp
    Siffredi Simanjuntak Singhal Slaetsdochter Sloan Smit Solomon Soprano Soukup Soylu Stafford Stark Steinberg Stejskal
    Stephenson Stevenson Stone Storey Strnad Summers Suryono Sutton Svoboda Sweeney Tara Tarhan Tarihoran Teruel Thamrin
    Thanel Tintzmann Tirabassi Toman Trapp Tremonti Trillo Trub Tucker Uche Ullrich Underwood Urban Vacek Valenta Varghese
    Varma Vasconcelos Vega Vegt Veneziano Verwoert Vidal Vieira Vilhelmsson Wahyudin Wali Walls Washington Waskita
    Wellington Westerlund Wibisono Winkler Wohlgemut Wolfe Wood Woodward Yaman Yoder York Yorulmaz Zahn Zeman Zengin Zorlu
    """.split()
)
BRANDS = tuple(
    """
    Apple Orange Gap Visa Shell Sprint Oracle Target Amazon Virgin Boots Next Focus Delta Sharp Canon Corona Polo Puma Jaguar
    Mustang Genesis Pioneer Continental Alliance Compass Legal Prudential Standard General Premier Eagle Anchor Crown Diamond
    Summit Phoenix Titan Vanguard Beacon Meridian Horizon Frontier Liberty Provident Sage Nimbus Zenith Altus Kestrel Corvex
    Dunmore Halcyon Lumina Novatel Ostara Pentax Quorum Rivada Solaris Telcom Unitec Vestra Wexford Xenia Zodiac
    """.split()
)
